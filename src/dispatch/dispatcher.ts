import { hostname } from 'node:os'
import { withTimeout } from '../async/abort.ts'
import { consumeInBatches } from '../group/batch-consumer.ts'
import { deadLetters } from '../group/dead-letters.ts'
import type { GroupMember } from '../group/member.ts'
import type { Logger } from '../ops/logger.ts'
import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { createAttemptRecorder } from './attempt-recorder.ts'
import { createBatchHandler, PublishFailedError } from './batch-handler.ts'
import { consumerStates } from './consumer-state.ts'
import { createSink } from './create-sink.ts'
import { createDeadLetterReporter } from './dead-letter-reporter.ts'
import type { DispatchMetrics } from './metrics.ts'
import { watchPauses } from './pause-watcher.ts'
import { createReadErrorReporter } from './read-error-reporter.ts'
import type { SinkContext } from './sink.ts'

interface DispatcherOptions {
  readonly consumers: readonly ConsumerSettings[]
  /** The service's own connection. */
  readonly redis: RedisClient
  /** Opens a connection, which the dispatcher closes. */
  readonly connect: (profile: 'fail-fast' | 'blocking') => RedisClient
  readonly keyPrefix: string
  /** Attempts kept per consumer, about; 0: none. */
  readonly attemptLogLength: number
  readonly metrics: DispatchMetrics
  readonly log: Logger
  readonly now: () => number
}

/** Delivers events of the log to the consumers of `CONSUMERS_FILE`, as one of any number of replicas. */
export interface Dispatcher {
  start(): void
  /** Finishes batches in flight and closes connections. Entries not yet acknowledged are left to other replicas. */
  stop(): Promise<void>
}

/**
 * Entries per call of a sink. A broker confirms about a hundred per millisecond. After a crash up to this many are sent
 * again, and an entry waits for at most this many before it.
 */
const BATCH_ENTRIES = 200
/** While a target is down: retried soon at first, then about every ten seconds. */
const BACKOFF = { firstMs: 100, maxMs: 10_000 }
/** The dispatcher's part of the 4.5 s that the service has to stop. */
const STOP_TIMEOUT_MS = 1000
/** How long the last second of recorded attempts may take to be written. */
const LAST_ATTEMPTS_TIMEOUT_MS = 500

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { consumers, redis, connect, keyPrefix, attemptLogLength, metrics, log, now } = options
  const states = consumerStates(redis, keyPrefix, now)
  const letters = deadLetters(redis, keyPrefix)
  let stop = async (): Promise<void> => {}

  return {
    start: () => {
      const queueRedis = connect('blocking')
      queueRedis.on('error', error =>
        log.debug({ err: error }, 'the Redis connection of the push queues failed')
      )
      const attempts = createAttemptRecorder({
        redis,
        keyPrefix,
        length: attemptLogLength,
        states,
        countAttempts: metrics.attempt,
        log,
        now
      })
      const reporter = createDeadLetterReporter(log)
      const context: SinkContext = {
        queueRedis,
        keyPrefix,
        states,
        deadLetters: letters,
        attempts,
        countAttempts: metrics.attempt,
        reporter,
        now,
        onError: (consumer, error) => log.debug({ consumer, err: error }, 'the push queue failed')
      }
      const running = consumers.map(settings => createPushConsumer(settings, context))
      const stopWatching = watchPauses(
        states,
        running,
        error => log.debug({ err: error }, 'the list of paused consumers could not be read'),
        (consumer, paused) => log.info({ consumer }, paused ? 'consumer paused' : 'consumer resumed')
      )
      stop = async () => {
        await Promise.all([stopWatching(), ...running.map(consumer => consumer.close())])
        reporter.close()
        await withTimeout(LAST_ATTEMPTS_TIMEOUT_MS, attempts.close())
        disconnectRedis(queueRedis)
      }
      log.info(
        { consumers: consumers.map(({ name, type }) => `${name} (${type})`) },
        'delivering events to push consumers'
      )
    },
    stop: () => stop()
  }

  function createPushConsumer(settings: ConsumerSettings, context: SinkContext) {
    const { name, from } = settings
    const sink = createSink(settings, context)
    const handle = createBatchHandler(settings, sink, context)
    const readErrors = createReadErrorReporter(log, now, name)
    let member: GroupMember | undefined
    return {
      name,
      start: () => {
        sink.pausing?.resume()
        // A member cannot be started twice.
        member = consumeInBatches(
          {
            connect: () => connect('fail-fast'),
            keyPrefix,
            group: name,
            member: `${hostname()}:${process.pid}`,
            from,
            batchSize: BATCH_ENTRIES,
            backoff: BACKOFF,
            stopTimeoutMs: STOP_TIMEOUT_MS,
            onError: error => {
              if (!(error instanceof PublishFailedError)) readErrors.report(error)
            }
          },
          handle
        )
        void member.start()
      },
      stop: async () => {
        sink.pausing?.pause()
        await member?.stop()
      },
      close: async () => {
        // A queue ignores an event that it has already, so it can be closed while entries are added.
        if (sink.pausing === undefined) await member?.stop()
        await sink.close()
      }
    }
  }
}
