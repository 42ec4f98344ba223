// Tested by test/redis/faults.slow.test.ts and test/runbook/redis.slow.test.ts.
import type { RedisClient } from './connect.ts'

/**
 * Rejects with the reply of Redis if it refuses writes, as a replica does, or a server with a full disk: PING and reads
 * work there. Deletes a key that never exists.
 */
export async function checkWrites(redis: RedisClient, keyPrefix: string): Promise<void> {
  await redis.del(`${keyPrefix}write-check`)
}
