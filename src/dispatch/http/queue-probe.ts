// Tested by test/dispatch/http/outages.slow.test.ts.
import { singleFlight } from '../../async/single-flight.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { type Attempter, AttemptFailed } from './attempt.ts'
import { attemptsMade, type PushQueue } from './push-queue.ts'

/** If the next attempt is due within this time, it is a probe itself. */
const SOON_MS = 30_000

/**
 * Returns a function that probes a receiver that is down with an event of its queue, for the case that no event comes
 * from the log. Without it, the receiver would count as down until the next attempt is due, which can take hours. If it
 * fails, the event stays as it is: the attempt does not count.
 *
 * The returned function rejects with the error of Redis.
 */
export function createQueueProbe(
  redis: RedisClient,
  queue: PushQueue['queue'],
  attempter: Attempter
): () => Promise<void> {
  return singleFlight(async () => {
    const [id, score] = await redis.zrange(queue.toKey('delayed'), '0', '0', 'WITHSCORES')
    // BullMQ keeps the time of delayed jobs in the upper bits of the score.
    if (id === undefined || Number(score) / 0x1000 < Date.now() + SOON_MS) return
    const job = await queue.getJob(id)
    if (job === undefined) return
    try {
      const outcome = await attempter.attempt(job.data, attemptsMade(job) + 1)
      // If it cannot be removed, for example because another replica works on it, it is sent again.
      if (outcome === 'delivered') await job.remove()
    } catch (error) {
      if (!(error instanceof AttemptFailed)) throw error
      attempter.recordFailure(error, 'failed')
    }
  })
}
