// Tested by test/redis/faults.test.ts and test/redis/durability.test.ts.
import type { RedisClient } from './connect.ts'

/**
 * Resolves once the connection accepts commands (without an offline queue it refuses them before), after `timeoutMs`, or
 * when it is closed for good. The next command then fails with the cause. Never rejects.
 */
export function waitUntilReady(redis: RedisClient, timeoutMs: number): Promise<void> {
  if (redis.status === 'ready' || redis.status === 'end') return Promise.resolve()
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      redis.off('ready', done)
      redis.off('end', done)
      resolve()
    }
    const timer = setTimeout(done, timeoutMs)
    redis.once('ready', done)
    redis.once('end', done)
  })
}
