// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import { z } from 'zod'
import { pause } from '../../async/backoff.ts'
import { ReportedError } from '../../errors.ts'
import type { EventLog } from '../../log/append.ts'
import { groupStats } from '../../log/stats.ts'
import { type BackfilledEvent, toBackfilledEntry } from '../../receive/backfilled-entry.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { parseStored } from '../../stored-json.ts'
import { type Runner, reconcileKeys } from './progress.ts'

const eventSchema = z.object({
  id: z.string(),
  type: z.string(),
  subject: z.string().optional(),
  happenedAtMs: z.number().optional(),
  messageId: z.string(),
  data: z.string()
})

export interface FillOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly runner: Runner
  readonly eventLog: EventLog
  /** Name of the source that the events get. */
  readonly source: string
  readonly eventsPerSecond: number
  readonly signal: AbortSignal
  /** Unix milliseconds. */
  readonly now: () => number
  /** Called before each batch. If it rejects, nothing more is appended. */
  readonly beforeAppend: () => Promise<void>
  /** Called with the events of each batch. */
  readonly onFilled: (outcomes: { readonly appended: number; readonly duplicates: number }) => Promise<void>
}

const BATCHES_PER_SECOND = 4
/** Deliveries wait for the appends of a batch: a few milliseconds. */
const MAX_BATCH = 200
/** Events that a consumer may be behind before the next ones are appended, beyond what it was behind before. */
const MAX_LAG = 10_000
const LAG_POLL_MS = 1000
/** A consumer that does not get less behind in this time does not run. */
const MAX_STUCK_MS = 10 * 60 * 1000
/** Events per command: about a millisecond of Redis. */
const ADD_BATCH = 200
/** Sanitized events that wait in Redis for their turn. With more, they are appended in several groups, each in order. */
export const MAX_WAITING = 100_000

/** Keeps events until they are appended, in order of their time. Adding one twice keeps it once. @throws the error of Redis */
export async function addMissing(
  redis: RedisClient,
  keyPrefix: string,
  runner: Runner,
  events: readonly BackfilledEvent[]
): Promise<void> {
  const { missing } = reconcileKeys(keyPrefix, runner)
  for (let from = 0; from < events.length; from += ADD_BATCH) {
    const batch = events.slice(from, from + ADD_BATCH)
    await redis.zadd(
      missing,
      ...batch.flatMap(event => [String(event.happenedAtMs ?? 0), JSON.stringify(event)])
    )
  }
}

/** @throws the error of Redis */
export const countMissing = (redis: RedisClient, keyPrefix: string, runner: Runner): Promise<number> =>
  redis.zcard(reconcileKeys(keyPrefix, runner).missing)

/**
 * Appends the events that wait, in order of their time, at a bounded rate, and not faster than consumers read. Ends early
 * when the signal is aborted.
 *
 * @throws UnavailableError if an event was not kept, ReportedError if a consumer does not follow, and the error of Redis
 */
export async function fillMissing(options: FillOptions): Promise<void> {
  const { redis, keyPrefix, eventLog, source, eventsPerSecond, signal, now, beforeAppend, onFilled } = options
  const { missing } = reconcileKeys(keyPrefix, options.runner)
  const size = Math.max(1, Math.min(MAX_BATCH, Math.floor(eventsPerSecond / BATCHES_PER_SECOND)))
  const lagBefore = await lags()
  while (!signal.aborted) {
    const members = await redis.zrange(missing, 0, String(size - 1))
    if (members.length === 0) return
    await waitForConsumers()
    if (signal.aborted) return
    await beforeAppend()
    const startedMs = performance.now()
    const events = members.flatMap(member => parseStored(eventSchema, member) ?? [])
    // Not one after the other: those of one turn share a call, in this order.
    const outcomes = await Promise.all(
      events.map(({ subject, happenedAtMs, ...event }) =>
        eventLog.append(toBackfilledEntry({ ...event, subject, happenedAtMs }, source, now()))
      )
    )
    const appended = outcomes.filter(outcome => outcome === 'appended').length
    await onFilled({ appended, duplicates: members.length - appended })
    await redis.zrem(missing, ...members)
    await pause(
      Math.max(0, (1000 * members.length) / eventsPerSecond - (performance.now() - startedMs)),
      signal
    )
  }

  async function waitForConsumers(): Promise<void> {
    let least = Infinity
    let stuckSinceMs = performance.now()
    for (;;) {
      const behind = [...(await lags())].map(([name, lag]) => ({
        name,
        lag: lag - (lagBefore.get(name) ?? 0)
      }))
      const worst = behind.reduce((a, b) => (b.lag > a.lag ? b : a), { name: '', lag: 0 })
      if (worst.lag <= MAX_LAG || signal.aborted) return
      if (worst.lag < least) {
        least = worst.lag
        stuckSinceMs = performance.now()
      } else if (performance.now() - stuckSinceMs > MAX_STUCK_MS) {
        throw new ReportedError(
          `the consumer ${worst.name} does not read: ${worst.lag} events were appended since, and none more are; start or remove it, and continue with cio-webhook reconcile --resume`
        )
      }
      await pause(LAG_POLL_MS, signal)
    }
  }

  async function lags(): Promise<Map<string, number>> {
    return new Map((await groupStats(redis, keyPrefix)).map(({ name, lag = 0 }) => [name, lag]))
  }
}
