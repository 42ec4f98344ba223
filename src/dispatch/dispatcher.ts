import { hostname } from 'node:os'
import { errorCode, ReportedError } from '../errors.ts'
import { compileTypeGlobs, DOCTOR_TYPE } from '../event-types.ts'
import { consumeInBatches } from '../group/batch-consumer.ts'
import { type DeadEntry, deadLetters } from '../group/dead-letters.ts'
import { MalformedEntryError } from '../group/entry-errors.ts'
import type { ReadEntry } from '../group/fenced-read.ts'
import { type OutgoingEvent, toOutgoingEvent } from '../group/outgoing-event.ts'
import { formatPosition } from '../log/position.ts'
import type { Logger } from '../ops/logger.ts'
import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { consumerStates } from './consumer-state.ts'
import { createSink } from './create-sink.ts'
import type { DispatchMetrics } from './metrics.ts'
import type { Sink, SinkContext } from './sink.ts'

interface DispatcherOptions {
  readonly consumers: readonly ConsumerSettings[]
  /** The service's own connection. */
  readonly redis: RedisClient
  /** Opens a connection, which the dispatcher closes. */
  readonly connect: (profile: 'fail-fast' | 'blocking') => RedisClient
  readonly keyPrefix: string
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

class RefusedError extends Error {
  override readonly name = 'RefusedError'
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { consumers, redis, connect, keyPrefix, metrics, log, now } = options
  const states = consumerStates(redis, keyPrefix, now)
  const letters = deadLetters(redis, keyPrefix)
  let stop = async (): Promise<void> => {}

  return {
    start: () => {
      const queueRedis = connect('blocking')
      queueRedis.on('error', error =>
        log.debug({ err: error }, 'the Redis connection of the push queues failed')
      )
      const context: SinkContext = {
        queueRedis,
        keyPrefix,
        states,
        deadLetters: letters,
        now,
        onAttempt: metrics.attempt,
        onError: (consumer, error) => log.debug({ consumer, err: error }, 'the push queue failed')
      }
      const stopAll = consumers.map(settings => startConsumer(settings, createSink(settings, context)))
      stop = async () => {
        await Promise.all(stopAll.map(stopOne => stopOne()))
        disconnectRedis(queueRedis)
      }
      log.info(
        { consumers: consumers.map(({ name, type }) => `${name} (${type})`) },
        'delivering events to push consumers'
      )
    },
    stop: () => stop()
  }

  /** @returns a function that stops it */
  function startConsumer(settings: ConsumerSettings, sink: Sink): () => Promise<void> {
    const { name, from, types, type } = settings
    // The push queue of an HTTP consumer counts its attempts itself.
    const isBroker = type !== 'http'
    const outage = createOutageReporter(settings)
    const matches = compileTypeGlobs(types)
    const member = consumeInBatches(
      {
        connect: () => connect('fail-fast'),
        keyPrefix,
        group: name,
        member: `${hostname()}:${process.pid}`,
        from,
        batchSize: BATCH_ENTRIES,
        backoff: BACKOFF,
        stopTimeoutMs: STOP_TIMEOUT_MS,
        onError: outage.report
      },
      async (entries, signal) => {
        await handle(entries, signal)
        outage.resolve()
      }
    )
    void member.start()
    return async () => {
      // The queue ignores an event that it has already, so it can be closed while entries are added.
      if (!isBroker) return void (await Promise.all([sink.close(), member.stop()]))
      await member.stop()
      await sink.close()
    }

    async function handle(entries: readonly ReadEntry[], signal: AbortSignal): Promise<void> {
      const wanted: OutgoingEvent[] = []
      for (const entry of entries) {
        const position = formatPosition(entry.partition, entry.id)
        const event = toOutgoingEvent({ position, event: entry.event })
        if (event === undefined) await addMalformed(name, { ...entry, position })
        else if (event.type !== DOCTOR_TYPE && matches(event.type)) wanted.push(event)
      }
      if (wanted.length === 0) return
      const refused = await publish(wanted, signal)
      for (const { event, reason } of refused) await addRefused(name, event, reason)
    }

    async function publish(events: readonly OutgoingEvent[], signal: AbortSignal) {
      try {
        const refused = await sink.publish(events, signal)
        if (isBroker) metrics.attempt(name, 'delivered', events.length - refused.length)
        return refused
      } catch (error) {
        if (isBroker) metrics.attempt(name, 'failed')
        if (isBroker && !signal.aborted)
          await states
            .addAttempts(name, { failures: 1, lastFailure: { reason: reasonOf(error), atMs: now() } })
            .catch(() => {})
        throw error
      }
    }
  }

  async function addMalformed(consumer: string, entry: DeadEntry): Promise<void> {
    await letters.add(consumer, entry, { reason: 'malformed', error: new MalformedEntryError(), attempts: 1 })
    metrics.attempt(consumer, 'dead')
    log.warn(
      { consumer, position: entry.position },
      'malformed log entry moved to dead letters: cio-webhook did not write it'
    )
  }

  async function addRefused(consumer: string, event: OutgoingEvent, reason: string): Promise<void> {
    await letters.add(consumer, event, { reason: 'failed', error: new RefusedError(reason), attempts: 1 })
    metrics.attempt(consumer, 'dead')
    log.warn(
      { consumer, position: event.position, reason },
      'event moved to dead letters: the consumer can never accept it'
    )
  }

  /** Logs the start and the end of an outage once each, however often delivery is tried in between. */
  function createOutageReporter({ name, type }: ConsumerSettings) {
    let isOut = false
    return {
      report: (error: unknown): void => {
        const level = isOut ? 'debug' : 'warn'
        log[level](
          { consumer: name, type, err: error },
          'delivery to the consumer fails: its events stay in the log and are retried'
        )
        isOut = true
      },
      resolve: (): void => {
        if (isOut) log.info({ consumer: name, type }, 'delivery to the consumer works again')
        isOut = false
      }
    }
  }
}

/** The last failure, for operators: a message that is written for them, or an error code. */
const reasonOf = (error: unknown): string =>
  error instanceof ReportedError ? error.message : `publish failed (${errorCode(error) ?? 'no error code'})`
