import type { RedisClient } from '../redis/connect.ts'

/** What is known of a consumer besides its position, shared by all replicas. */
export interface ConsumerState {
  /** Attempts that failed since it was last enabled, or ever. */
  readonly failures: number
  /** Ours to say: no text of anybody's answer. */
  readonly lastFailure: string | undefined
  readonly lastFailureAtMs: number | undefined
  /** Since when and why it is told nothing any more. */
  readonly disabledAtMs: number | undefined
  readonly disabledReason: string | undefined
}

export interface ConsumerStates {
  read(name: string): Promise<ConsumerState>
  failed(name: string, reason: string): Promise<void>
  disable(name: string, reason: string): Promise<void>
  enable(name: string): Promise<void>
  forget(name: string): Promise<void>
}

export function consumerStates(redis: RedisClient, keyPrefix: string, now: () => number): ConsumerStates {
  const keyOf = (name: string): string => `${keyPrefix}consumer:${name}`
  return {
    read: async name => {
      const fields = await redis.hgetall(keyOf(name))
      return {
        failures: Number(fields['failures'] ?? 0),
        lastFailure: fields['lastFailure'],
        lastFailureAtMs: millisecondsIn(fields['lastFailureAtMs']),
        disabledAtMs: millisecondsIn(fields['disabledAtMs']),
        disabledReason: fields['disabledReason']
      }
    },
    failed: async (name, reason) => {
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
    forget: async name => {
      await redis.del(keyOf(name))
    }
  }
}

const millisecondsIn = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text)
