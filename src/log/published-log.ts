// Tested by test/tools/events/id-index.slow.test.ts.
import type { RedisClient } from '../redis/connect.ts'
import { writeWhileFull } from '../redis/write-while-full.ts'
import { serverTimeMs } from './dedupe-index.ts'
import { partitionKeys, sourceNamesKey } from './keys.ts'
import { publishPartitionCount } from './partition.ts'

/**
 * Writes what readers of the log have to know. Called before the first event is appended.
 *
 * @throws the error of Redis
 */
export async function publishLog(
  redis: RedisClient,
  keyPrefix: string,
  { partitions, sources }: { readonly partitions: number; readonly sources: readonly string[] }
): Promise<void> {
  await publishPartitionCount(redis, keyPrefix, partitions)
  await publishSources(redis, keyPrefix, sources)
}

/**
 * Writes the names of the sources, which are a part of every digest in the dedupe index. A name stays when its source is
 * removed, because its events may still be in the log.
 *
 * @throws the error of Redis
 */
export async function publishSources(
  redis: RedisClient,
  keyPrefix: string,
  names: readonly string[]
): Promise<void> {
  const key = sourceNamesKey(keyPrefix)
  const published = await redis.hgetall(key)
  const missing = names.filter(name => !Object.hasOwn(published, name))
  if (missing.length === 0) return
  const nowMs = await serverTimeMs(redis, partitionKeys(keyPrefix, 0))
  await writeWhileFull(
    redis,
    'hset',
    key,
    missing.flatMap(name => [name, nowMs])
  )
}

/**
 * @returns the names of all sources of events that were appended since `sinceMs` (unix milliseconds, by the clock of
 * Redis); `undefined` if the service has not written them
 * @throws the error of Redis
 */
export async function readSources(
  redis: RedisClient,
  keyPrefix: string
): Promise<{ readonly names: readonly string[]; readonly sinceMs: number } | undefined> {
  const published = await redis.hgetall(sourceNamesKey(keyPrefix))
  const names = Object.keys(published)
  if (names.length === 0) return undefined
  return { names, sinceMs: Math.min(...Object.values(published).map(Number)) }
}
