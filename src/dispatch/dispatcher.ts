import { hostname } from 'node:os'
import { ReportedError } from '../errors.ts'
import { compileTypeGlobs } from '../event-types.ts'
import { consumeInBatches } from '../group/batch-consumer.ts'
import { addDeadLetter } from '../group/dead-letter.ts'
import { deadLetters } from '../group/dead-letters.ts'
import { MalformedEntryError } from '../group/entry-errors.ts'
import type { ReadEntry } from '../group/fenced-read.ts'
import type { OutgoingEvent } from '../group/outgoing-event.ts'
import { outgoingEvent } from '../group/outgoing-event.ts'
import { groupKeys } from '../log/keys.ts'
import type { Logger } from '../ops/logger.ts'
import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { consumerStates } from './consumer-state.ts'
import { createSink, type SinkContext } from './create-sink.ts'
import type { DispatchMetrics } from './metrics.ts'
import type { Sink } from './sink.ts'

export interface DispatcherOptions {
  readonly consumers: readonly ConsumerSettings[]
  /** The service's own connection. */
  readonly redis: RedisClient
  /** Opens a further one, which is closed here. */
  readonly connect: (profile: 'fail-fast' | 'blocking') => RedisClient
  readonly keyPrefix: string
  readonly metrics: DispatchMetrics
  readonly log: Logger
  readonly now: () => number
}

/** Brings the log to the consumers of `CONSUMERS_FILE`, as one of any number of replicas. */
export interface Dispatcher {
  start(): void
  /** Ends what is under way and closes what was opened. What was not acknowledged is the next replica's. */
  stop(): Promise<void>
}

/** What `doctor` sends through the receiver is no event of Customer.io's: nobody outside gets it. */
const DOCTOR_TYPE = 'io.customer.doctor'

/**
 * Entries offered at once. A broker has a hundred under way in about a millisecond; a crash repeats as many, and
 * a bridge's events wait for nothing longer than for the hundred before them.
 */
const BATCH_ENTRIES = 200
/** Trouble at the other side is looked at again soon at first, and then each half minute. */
const BACKOFF = { firstMs: 100, maxMs: 10_000 }
/** The whole service has 4.5 s to end; this is the feeders' part. */
const STOP_TIMEOUT_MS = 1000

/** Only what is written for the operator is kept. */
const reasonOf = (error: unknown): string =>
  error instanceof ReportedError ? error.message : 'the broker did not take events'

class RefusedError extends Error {
  override readonly name = 'RefusedError'
}

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { consumers, redis, connect, keyPrefix, metrics, log, now } = options
  const states = consumerStates(redis, keyPrefix, now)
  const letters = deadLetters(redis, keyPrefix)
  const stoppers: (() => Promise<void>)[] = []

  return {
    start: () => {
      const queueRedis = connect('blocking')
      queueRedis.on('error', error => log.debug({ err: error }, 'redis connection of the push queues'))
      const surroundings: SinkContext = {
        queueRedis,
        keyPrefix,
        states,
        deadLetters: letters,
        now,
        onAttempt: metrics.attempt,
        onError: (consumer, error) => log.debug({ consumer, err: error }, 'push queue')
      }
      const followers = consumers.map(settings => follow(settings, createSink(settings, surroundings)))
      stoppers.push(async () => {
        await Promise.all(followers.map(stop => stop()))
        disconnectRedis(queueRedis)
      })
      log.info({ consumers: consumers.map(({ name, type }) => `${name} (${type})`) }, 'dispatching')
    },
    stop: async () => {
      for (const stop of stoppers.splice(0)) await stop()
    }
  }

  /** @returns what ends it */
  function follow(settings: ConsumerSettings, sink: Sink): () => Promise<void> {
    const { name, from, types, type } = settings
    // A push queue counts for itself, attempt by attempt.
    const isBridge = type !== 'http'
    const trouble = troubleTeller(settings)
    const follower = consumeInBatches(
      {
        connect: () => connect('fail-fast'),
        keyPrefix,
        group: name,
        member: `${hostname()}:${process.pid}`,
        from,
        batchSize: BATCH_ENTRIES,
        backoff: BACKOFF,
        stopTimeoutMs: STOP_TIMEOUT_MS,
        onError: trouble.tell
      },
      async (entries, signal) => {
        await handle(entries, signal)
        trouble.over()
      }
    )
    const matches = compileTypeGlobs(types)
    void follower.start()
    return async () => {
      // A bridge finishes its batch first; a queue can be offered an event twice, and gives requests time to end.
      if (!isBridge) return void (await Promise.all([sink.close(), follower.stop()]))
      await follower.stop()
      await sink.close()
    }

    async function handle(entries: readonly ReadEntry[], signal: AbortSignal): Promise<void> {
      const wanted: OutgoingEvent[] = []
      for (const entry of entries) {
        const event = outgoingEvent(`${entry.partition}-${entry.id}`, entry.event)
        if (event === undefined) await setAside(name, entry)
        else if (event.type !== DOCTOR_TYPE && matches(event.type)) wanted.push(event)
      }
      if (wanted.length === 0) return
      const refused = await publish(wanted, signal)
      for (const { event, reason } of refused) await giveUp(name, event, reason)
    }

    async function publish(events: readonly OutgoingEvent[], signal: AbortSignal) {
      try {
        const refused = await sink.publish(events, signal)
        if (isBridge) metrics.published(name, events.length - refused.length)
        return refused
      } catch (error) {
        if (isBridge) metrics.publishFailed(name)
        if (isBridge && !signal.aborted) await states.failed(name, reasonOf(error)).catch(() => {})
        throw error
      }
    }
  }

  async function setAside(consumer: string, entry: ReadEntry): Promise<void> {
    const error = new MalformedEntryError()
    const why = { reason: 'malformed', error, attempts: 1 } as const
    await addDeadLetter(redis, groupKeys(keyPrefix, consumer).dead, entry, why)
    metrics.dead(consumer)
    log.warn({ consumer, partition: entry.partition, entry: entry.id }, 'not an event of ours: set aside')
  }

  async function giveUp(consumer: string, event: OutgoingEvent, reason: string): Promise<void> {
    await letters.keep(consumer, event, new RefusedError(reason), 1)
    metrics.dead(consumer)
    log.warn(
      { consumer, position: event.position, reason },
      'the consumer can never take this: a dead letter'
    )
  }

  /** Says once that there is trouble, and once that it is over, however often it is tried in between. */
  function troubleTeller({ name, type }: ConsumerSettings) {
    let told = false
    return {
      tell: (error: unknown): void => {
        const level = told ? 'debug' : 'warn'
        log[level]({ consumer: name, type, err: error }, 'trouble with a consumer: events wait in the log')
        told = true
      },
      over: (): void => {
        if (told) log.info({ consumer: name, type }, 'the consumer takes events again')
        told = false
      }
    }
  }
}
