import type { RedisClient } from './connect.ts'

/**
 * Resolves once the connection takes commands (with its offline queue off, it refuses them before), or when
 * `atMostMs` have passed, or it is closed for good: then the next command says what is wrong. Never rejects.
 */
export function waitUntilReady(redis: RedisClient, atMostMs: number): Promise<void> {
  if (redis.status === 'ready' || redis.status === 'end') return Promise.resolve()
  return new Promise(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      redis.off('ready', done)
      redis.off('end', done)
      resolve()
    }
    const timer = setTimeout(done, atMostMs)
    redis.once('ready', done)
    redis.once('end', done)
  })
}
