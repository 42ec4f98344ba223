// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import { type LastDelivery, readDeliveryStats, readLastDeliveries } from '../../receive/delivery-stats.ts'
import type { RedisClient } from '../../redis/connect.ts'

/** Customer.io retries for seven days; an hour more for its clock. */
const MAX_QUEUED_MS = (7 * 24 + 1) * 60 * 60 * 1000
/** Events overtake each other a little, and the index is asked a little later than the list was made. */
const SLACK_MS = 10 * 60 * 1000
const RECENT_MS = 15 * 60 * 1000
const KEPT: ReadonlySet<LastDelivery['outcome']> = new Set(['accepted', 'duplicate', 'parked'])

/**
 * Up to when Customer.io has sent its events. It sends them in order: while one fails, all later ones wait. So the age of
 * the events that arrive shows how far the queue is: what happened before has been sent, what happened later can still come.
 *
 * @returns Unix milliseconds: what happened before and is not in the log is lost
 * @throws the error of Redis
 */
export async function sentUntil(
  redis: RedisClient,
  keyPrefix: string,
  source: string,
  nowMs: number
): Promise<number> {
  const last = (await readLastDeliveries(redis, keyPrefix)).get(source)
  // While a backlog arrives, new events can come between old ones.
  const stats = await readDeliveryStats(redis, keyPrefix, { fromMs: nowMs - RECENT_MS, toMs: nowMs })
  const oldestArrivingMs = nowMs - (stats.eventAgeSeconds?.p99 ?? 0) * 1000
  const lastHappenedMs = last === undefined ? 0 : happenedMs(last)
  // After a week without deliveries the queue has nothing older left.
  return Math.max(Math.min(lastHappenedMs, oldestArrivingMs) - SLACK_MS, nowMs - MAX_QUEUED_MS)
}

/** The body of a delivery that was refused before it was parsed has no time: it can be of any age, and comes again. */
function happenedMs({ atMs, outcome, ageSeconds }: LastDelivery): number {
  if (ageSeconds !== undefined) return atMs - ageSeconds * 1000
  return KEPT.has(outcome) ? atMs : 0
}
