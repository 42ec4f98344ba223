// Tested by test/console/pages/consumers.slow.test.ts and test/cli/consumers/dead-letters.slow.test.ts.
import { mapLimited } from '../../async/map-limited.ts'
import { deadLetters } from '../../group/dead-letters.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { writeWhileFull } from '../../redis/write-while-full.ts'

/** A consumer that was removed before its dead letters were dropped. */
export interface RemovedConsumer {
  readonly name: string
  readonly dead: number
  /** Unix milliseconds. */
  readonly removedAtMs: number
}

const READ_AT_ONCE = 25

/**
 * Removed consumers whose dead letters are left, in the hash `<prefix>removed`: no group names them any more. Every
 * method throws the error of Redis.
 */
export function removedConsumers(redis: RedisClient, keyPrefix: string) {
  const key = `${keyPrefix}removed`
  const letters = deadLetters(redis, keyPrefix)
  return {
    add: async (name: string, atMs: number): Promise<void> => {
      await writeWhileFull(redis, 'hset', key, [name, atMs])
    },
    /** After its last dead letter was dropped. */
    forget: async (name: string): Promise<void> => {
      await redis.hdel(key, name)
    },
    /** By name. @param existing names of consumers that are there, perhaps again */
    list: async (existing: readonly string[]): Promise<readonly RemovedConsumer[]> => {
      const names = new Set(existing)
      const removed = Object.entries(await redis.hgetall(key)).filter(([name]) => !names.has(name))
      const found = await mapLimited(removed, READ_AT_ONCE, async ([name, atMs]) => ({
        name,
        dead: await letters.count(name),
        removedAtMs: Number(atMs)
      }))
      return found.filter(({ dead }) => dead > 0).sort((a, b) => (a.name < b.name ? -1 : 1))
    }
  }
}
