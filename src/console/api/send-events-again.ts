// Tested by test/console/api.slow.test.ts.
import type { RedisClient } from '../../redis/connect.ts'
import { ActionError } from '../../tools/action-error.ts'
import type { Replayed } from '../../tools/consumers/replay-letters.ts'
import { eventPath } from '../../tools/events/event-path.ts'
import { sendAgain } from '../../tools/events/send-again.ts'
import type { ConsoleContext } from '../context.ts'

/** Of all events together. Those that were not found until then are unknown. */
const BUDGET_MS = 5000

/** Gives a consumer events again, each at its newest position. @returns as a replay of dead letters */
export async function sendEventsAgain(
  { redis, config }: Pick<ConsoleContext, 'redis' | 'config'>,
  openBlocking: () => RedisClient,
  consumer: string,
  eventIds: readonly string[]
): Promise<Replayed> {
  const { keyPrefix, windowMs } = config.log
  const { consumers } = config.dispatch
  const endsAtMs = performance.now() + BUDGET_MS
  const unknown: string[] = []
  const left: { readonly id: string; readonly why: string }[] = []
  let [replayed, notWanted] = [0, 0]
  for (const id of new Set(eventIds)) {
    const options = { redis, keyPrefix, dedupeWindowMs: windowMs, consumers }
    const budgetMs = Math.max(0, endsAtMs - performance.now())
    const [path] = await eventPath(options, id, { budgetMs })
    if (path === undefined) {
      unknown.push(id)
      continue
    }
    try {
      await sendAgain({ redis, keyPrefix, consumers, openBlocking }, path, consumer)
      replayed++
    } catch (error) {
      if (!(error instanceof ActionError) || error.refusal === 'unknown') throw error
      left.push({ id, why: error.message })
      const isNotWanted = path.consumers.some(one => one.consumer === consumer && one.state === 'not_wanted')
      if (isNotWanted) notWanted++
    }
  }
  return { replayed, left, notWanted, unknown, interrupted: false }
}
