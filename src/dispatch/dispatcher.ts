import { hostname } from 'node:os'
import { withTimeout } from '../async/abort.ts'
import { deadLetters } from '../group/dead-letters.ts'
import { createEventBudget } from '../group/event-budget.ts'
import type { Logger } from '../ops/logger.ts'
import type { Tracing } from '../ops/spans.ts'
import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { createAttemptRecorder } from './attempt-recorder.ts'
import { createBrokerConsumer } from './broker-consumer.ts'
import { consumerStates } from './consumer-state.ts'
import { createDeadLetterReporter } from './dead-letter-reporter.ts'
import { createHttpConsumer } from './http/http-consumer.ts'
import type { DispatchMetrics } from './metrics.ts'
import { watchPauses } from './pause-watcher.ts'
import type { PushContext } from './push-context.ts'
import { createReadErrorReporter } from './read-error-reporter.ts'

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
  readonly tracing?: Tracing | undefined
  readonly now: () => number
}

/** Delivers events of the log to the consumers of `CONSUMERS_FILE`, as one of any number of replicas. */
export interface Dispatcher {
  start(): void
  /** Finishes batches in flight and closes connections. Entries not yet acknowledged are left to other replicas. */
  stop(): Promise<void>
}

/**
 * For the events that the HTTP consumers of a process have read ahead: about 5,000 of 1,000 characters. A single consumer
 * with one partition reads at most 2,000 ahead, unless its `concurrency` is over 100.
 */
const EVENT_BUDGET_BYTES = 16 * 1024 * 1024
/** How long the last second of recorded attempts may take to be written. */
const LAST_ATTEMPTS_TIMEOUT_MS = 500

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { consumers, redis, connect, keyPrefix, attemptLogLength, metrics, log, tracing, now } = options
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
      const context: PushContext = {
        connect: () => connect('fail-fast'),
        member: `${hostname()}:${process.pid}`,
        queueRedis,
        keyPrefix,
        states,
        deadLetters: letters,
        eventBudget: createEventBudget(EVENT_BUDGET_BYTES),
        attempts,
        countAttempts: metrics.attempt,
        reporter,
        now,
        tracing,
        readErrorReporter: consumer => createReadErrorReporter(log, now, consumer),
        onError: (consumer, error) => log.debug({ consumer, err: error }, 'the push queue failed')
      }
      const running = consumers.map(settings =>
        settings.type === 'http'
          ? createHttpConsumer(settings, context)
          : createBrokerConsumer(settings, context)
      )
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
}
