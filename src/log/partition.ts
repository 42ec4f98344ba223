import { hash } from 'node:crypto'
import type { RedisClient } from '../redis/connect.ts'
import { writeWhileFull } from '../redis/write-while-full.ts'
import { type PartitionKeys, partitionCountKey, partitionCountsKey, partitionKeys } from './keys.ts'

/** The partition for an ordering key. Entries with the same key stay in order, because they share a partition. */
export function partitionOf(key: string, partitions: number): number {
  if (partitions === 1) return 0
  return Number.parseInt(hash('sha256', key, 'hex').slice(0, 8), 16) % partitions
}

/**
 * Writes for readers of the log how many partitions it has. The number never falls: after PARTITIONS was lowered,
 * the entries of the higher partitions must still be read.
 *
 * @throws the error of Redis
 */
export async function publishPartitionCount(
  redis: RedisClient,
  keyPrefix: string,
  partitions: number
): Promise<void> {
  const published = await readPartitionCount(redis, keyPrefix)
  const used = await redis.smembers(partitionCountsKey(keyPrefix))
  if (!used.includes(String(partitions))) {
    // A log of an older version: it has been used, and nothing says with which numbers.
    const isOld = used.length === 0 && (published > 1 || (await hasEvents(redis, keyPrefix)))
    const unknown = isOld ? upTo(published) : []
    await writeWhileFull(redis, 'sadd', partitionCountsKey(keyPrefix), [partitions, ...unknown])
  }
  if (published < partitions) await writeWhileFull(redis, 'set', partitionCountKey(keyPrefix), [partitions])
}

/**
 * The partitions in which entries with these ordering keys can be: one per key for each number of partitions that was
 * ever in use, because `PARTITIONS` decides where a key goes. A log of an older version does not know which numbers
 * these were; then it is each one up to the present number.
 *
 * @returns them in order
 * @throws the error of Redis
 */
export async function partitionsOfKeys(
  redis: RedisClient,
  keyPrefix: string,
  keys: readonly string[]
): Promise<readonly number[]> {
  const published = await readPartitionCount(redis, keyPrefix)
  const used = (await redis.smembers(partitionCountsKey(keyPrefix))).map(Number)
  const counts = used.length === 0 ? upTo(published) : used
  const partitions = new Set(counts.flatMap(count => keys.map(key => partitionOf(key, count))))
  return [...partitions].sort((a, b) => a - b)
}

const hasEvents = async (redis: RedisClient, keyPrefix: string): Promise<boolean> =>
  (await redis.exists(partitionKeys(keyPrefix, 0).events)) === 1

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** @returns how many partitions the log has, as published; 1 before that. @throws the error of Redis */
export async function readPartitionCount(redis: RedisClient, keyPrefix: string): Promise<number> {
  const published = Number(await redis.get(partitionCountKey(keyPrefix)))
  return Number.isSafeInteger(published) && published > 1 ? published : 1
}

/** @returns the keys of every published partition, in order. @throws the error of Redis */
export async function publishedPartitions(
  redis: RedisClient,
  keyPrefix: string
): Promise<readonly PartitionKeys[]> {
  return allPartitionKeys(keyPrefix, await readPartitionCount(redis, keyPrefix))
}

export const allPartitionKeys = (keyPrefix: string, partitions: number): readonly PartitionKeys[] =>
  Array.from({ length: partitions }, (_, partition) => partitionKeys(keyPrefix, partition))
