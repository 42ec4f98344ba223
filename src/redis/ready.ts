// Tested by test/redis/faults.slow.test.ts, test/redis/durability.slow.test.ts and test/receive/delivery-stats.slow.test.ts.
import { mastersOf, type RedisClient } from './connect.ts'
import { isCluster } from './is-cluster.ts'

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

/**
 * Connects to every master of a Cluster. ioredis connects to a node when it is first used, and without an offline queue
 * that first command fails. Does nothing for a single server. Never rejects.
 */
export async function connectMasters(redis: RedisClient, timeoutMs: number): Promise<void> {
  if (!isCluster(redis)) return
  await Promise.all(
    mastersOf(redis).map(async node => {
      if (node.status === 'wait') node.connect().catch(() => {}) // the next command fails with the cause
      await waitUntilReady(node, timeoutMs)
    })
  )
}
