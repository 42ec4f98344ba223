import type { RedisClient } from '../redis/connect.ts'
import { partitionCountKey } from './keys.ts'

/** What a log has until somebody says otherwise. */
const FEWEST = 1

/**
 * Tells those who read the log how many partitions it has. The number never falls: after PARTITIONS was lowered,
 * what the higher ones still hold must be read all the same.
 *
 * @throws what Redis answers
 */
export async function publishPartitionCount(
  redis: RedisClient,
  keyPrefix: string,
  partitions: number
): Promise<void> {
  if ((await readPartitionCount(redis, keyPrefix)) >= partitions) return
  await redis.set(partitionCountKey(keyPrefix), partitions)
}

/** How many partitions the log has, as announced; 1 where nobody has said. @throws what Redis answers */
export async function readPartitionCount(redis: RedisClient, keyPrefix: string): Promise<number> {
  const announced = Number(await redis.get(partitionCountKey(keyPrefix)))
  return Number.isSafeInteger(announced) && announced > FEWEST ? announced : FEWEST
}
