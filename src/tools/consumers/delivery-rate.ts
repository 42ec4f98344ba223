// Tested by test/console/pages/consumers.slow.test.ts.
import { attemptsKey } from '../../dispatch/attempts.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { loadScript, runScript } from '../../redis/script.ts'

export interface DeliveryRate {
  readonly eventsPerMinute: number
  /** It may be more: the log of attempts is written once per second, and only its newest entries are read. */
  readonly isAtLeast: boolean
}

const script = loadScript(new URL('delivery-rate.lua', import.meta.url))

const WINDOW_MS = 60_000
/** Attempts per call: about a millisecond in Redis. */
const MAX_ATTEMPTS = 1000
/** The attempts of a second are written at once, so a shorter time says nothing. */
const MIN_SPAN_MS = 1000

/** How fast a push consumer accepted events in the last minute, by its log of attempts. @throws the error of Redis */
export async function deliveryRate(
  redis: RedisClient,
  keyPrefix: string,
  consumer: string
): Promise<DeliveryRate> {
  const reply = await runScript(redis, script, [attemptsKey(keyPrefix, consumer)], [WINDOW_MS, MAX_ATTEMPTS])
  const [delivered, spanMs, more] = Array.isArray(reply) ? reply.map(Number) : []
  const span = Math.max(MIN_SPAN_MS, spanMs ?? WINDOW_MS)
  return { eventsPerMinute: Math.round(((delivered ?? 0) * WINDOW_MS) / span), isAtLeast: more === 1 }
}
