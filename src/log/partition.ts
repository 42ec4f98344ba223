import { hash } from 'node:crypto'
import type { RedisClient } from '../redis/connect.ts'
import { type PartitionKeys, partitionCountKey, partitionKeys } from './keys.ts'

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
  if ((await readPartitionCount(redis, keyPrefix)) >= partitions) return
  await redis.set(partitionCountKey(keyPrefix), partitions)
}

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
