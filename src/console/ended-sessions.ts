// Tested by test/console/access.test.ts and test/console/access.slow.test.ts.
import { withTimeout } from '../async/abort.ts'
import type { RedisClient } from '../redis/connect.ts'
import { writeWhileFull } from '../redis/write-while-full.ts'

/**
 * A session is in a cookie, of which somebody may have a copy. So its log-out is remembered until the cookie expires,
 * `<prefix>console:ended:<session id>`, for all replicas.
 */
export interface EndedSessions {
  /** Remembers that a session has ended. @throws the error of Redis; this process remembers it in any case */
  end(id: string): Promise<void>
  /** @returns `undefined` if Redis does not answer in time, so that it is not known. Never rejects */
  isEnded(id: string): Promise<boolean | undefined>
}

/** A page about an outage must not wait for Redis. */
const LIMIT_MS = 500
/** Log-outs are limited to 10 per minute and address. */
const MAX_LOCAL = 1000

/** @param sessionSeconds how long a session is valid */
export function createEndedSessions(
  redis: RedisClient,
  keyPrefix: string,
  sessionSeconds: number
): EndedSessions {
  const keyOf = (id: string): string => `${keyPrefix}console:ended:${id}`
  /** Those that Redis may not know. */
  const local = new Set<string>()
  return {
    end: async id => {
      if (local.size >= MAX_LOCAL) local.clear()
      local.add(id)
      await writeWhileFull(redis, 'set', keyOf(id), ['1', 'EX', sessionSeconds])
      local.delete(id)
    },
    isEnded: async id => {
      if (local.has(id)) return true
      try {
        const found = await withTimeout(LIMIT_MS, redis.get(keyOf(id)))
        return found === undefined ? undefined : found !== null
      } catch {
        return undefined
      }
    }
  }
}
