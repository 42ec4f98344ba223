import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import { waitUntilReady } from '../redis/ready.ts'

/** Tells when a stream has grown. */
export interface StreamWaiter {
  /** Resolves once there is something after `id`, or after about a second. @throws what Redis answers */
  waitForNewer(id: string): Promise<void>
  close(): void
}

/** Below the connection's command timeout (2 s). It is also how long a wake-up that got lost is missed. */
const BLOCK_MS = 1000

/**
 * Waits on a connection of its own, which it blocks. It only looks (XREAD): what it sees is taken by take.lua,
 * under the lease, and not by a call that may have been waiting in Redis since before the lease was lost.
 */
export function createStreamWaiter(connect: () => RedisClient, stream: string): StreamWaiter {
  let redis: RedisClient | undefined
  let closed = false
  return {
    waitForNewer: async id => {
      if (closed) return
      redis ??= quiet(connect())
      await waitUntilReady(redis, BLOCK_MS)
      await redis.xread('COUNT', 1, 'BLOCK', BLOCK_MS, 'STREAMS', stream, id)
    },
    close: () => {
      closed = true
      if (redis !== undefined) disconnectRedis(redis)
    }
  }
}

/** What happens to this connection shows in the calls made on it. */
function quiet(redis: RedisClient): RedisClient {
  redis.on('error', () => {})
  return redis
}
