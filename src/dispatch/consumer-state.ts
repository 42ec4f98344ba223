// Tested by test/dispatch/sinks/http.slow.test.ts and test/cli/consumers/command.slow.test.ts.
import type { RedisClient } from '../redis/connect.ts'

/** What all replicas know about a consumer, besides its position in the log. */
interface ConsumerState {
  /** Failed attempts since it was last enabled, or ever. */
  readonly failures: number
  /** In our own words: contains no text of a response. */
  readonly lastFailure: string | undefined
  readonly lastFailureAtMs: number | undefined
  /** Since when it is disabled; `undefined` while it is enabled. */
  readonly disabledAtMs: number | undefined
  readonly disabledReason: string | undefined
}

/** Every method throws the error of Redis. */
export interface ConsumerStates {
  read(name: string): Promise<ConsumerState>
  recordFailure(name: string, reason: string): Promise<void>
  disable(name: string, reason: string): Promise<void>
  enable(name: string): Promise<void>
  remove(name: string): Promise<void>
}

export function consumerStates(redis: RedisClient, keyPrefix: string, now: () => number): ConsumerStates {
  const keyOf = (name: string): string => `${keyPrefix}consumer:${name}`
  return {
    read: async name => {
      const { failures, lastFailure, lastFailureAtMs, disabledAtMs, disabledReason } = await redis.hgetall(
        keyOf(name)
      )
      return {
        failures: Number(failures ?? 0),
        lastFailure,
        lastFailureAtMs: optionalNumber(lastFailureAtMs),
        disabledAtMs: optionalNumber(disabledAtMs),
        disabledReason
      }
    },
    recordFailure: async (name, reason) => {
      await Promise.all([
        redis.hincrby(keyOf(name), 'failures', 1),
        redis.hset(keyOf(name), { lastFailure: reason, lastFailureAtMs: now() })
      ])
    },
    disable: async (name, reason) => {
      await redis.hset(keyOf(name), { disabledReason: reason, disabledAtMs: now() })
    },
    enable: async name => {
      await redis.hdel(keyOf(name), 'disabledReason', 'disabledAtMs', 'failures')
    },
    remove: async name => {
      await redis.del(keyOf(name))
    }
  }
}

const optionalNumber = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text)
