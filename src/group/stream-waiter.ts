// Tested by test/group/batch-consumer.test.ts.
import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import { waitUntilReady } from '../redis/ready.ts'

/** Waits for new entries of a stream. */
export interface StreamWaiter {
  /** Resolves once the stream has an entry after `id`, or after about a second. @throws the error of Redis */
  waitForNewer(id: string): Promise<void>
  close(): void
}

/** Below the command timeout (2 s). After a lost notification, an entry is read this much later. */
const BLOCK_MS = 1000

/**
 * Waits on a connection of its own, which is blocked meanwhile. It only looks (XREAD). Entries are read by
 * fenced-read.lua under the lease, and not by a call that may have waited in Redis since before the lease was lost.
 */
export function createStreamWaiter(connect: () => RedisClient, stream: string): StreamWaiter {
  let redis: RedisClient | undefined
  let closed = false
  return {
    waitForNewer: async id => {
      if (closed) return
      redis ??= withoutErrorEvents(connect())
      await waitUntilReady(redis, BLOCK_MS)
      await redis.xread('COUNT', 1, 'BLOCK', BLOCK_MS, 'STREAMS', stream, id)
    },
    close: () => {
      closed = true
      if (redis !== undefined) disconnectRedis(redis)
    }
  }
}

/** Errors of the connection surface through the commands. */
export function withoutErrorEvents(redis: RedisClient): RedisClient {
  return redis.on('error', () => {})
}
