import type { RedisClient } from '../redis/connect.ts'
import { serverTimeMs } from './dedupe-index.ts'
import { groupKeys, partitionKeys } from './keys.ts'
import { readPartitionCount } from './partition-count.ts'

/** A consumer group over all partitions, whoever made it. */
export interface GroupStats {
  readonly name: string
  /** Entries it has not been handed yet; `undefined` where Redis can't tell, after somebody removed entries. */
  readonly lag: number | undefined
  /** Entries it was handed and has not acknowledged. */
  readonly pending: number
  /** Age of the oldest entry that it has not acknowledged; `undefined` where there is none. */
  readonly oldestAgeMs: number | undefined
  /** Members that say they work for it at the moment. */
  readonly members: number
}

interface Place {
  readonly name: string
  readonly lag: number | undefined
  readonly pending: number
  readonly oldestAgeMs: number | undefined
}

/** Every consumer group there is, by name. @throws what Redis answers */
export async function groupStats(redis: RedisClient, keyPrefix: string): Promise<readonly GroupStats[]> {
  const partitions = await readPartitionCount(redis, keyPrefix)
  const places = await Promise.all(
    Array.from({ length: partitions }, (_, partition) => readPlaces(redis, keyPrefix, partition))
  )
  const byName = new Map<string, Place[]>()
  for (const place of places.flat()) byName.set(place.name, [...(byName.get(place.name) ?? []), place])
  const readings = [...byName].map(async ([name, parts]) => ({
    name,
    lag: parts.some(({ lag }) => lag === undefined) ? undefined : sum(parts.map(({ lag = 0 }) => lag)),
    pending: sum(parts.map(({ pending }) => pending)),
    oldestAgeMs: largest(parts.map(({ oldestAgeMs }) => oldestAgeMs)),
    // Who does not renew its word is taken out by the others, and the last one by Redis: see members.lua.
    members: await redis.zcard(groupKeys(keyPrefix, name).members)
  }))
  return (await Promise.all(readings)).sort((a, b) => (a.name < b.name ? -1 : 1))
}

async function readPlaces(redis: RedisClient, keyPrefix: string, partition: number): Promise<Place[]> {
  const keys = partitionKeys(keyPrefix, partition)
  const [nowMs, groups] = await Promise.all([serverTimeMs(redis, keys), infoGroups(redis, keys.events)])
  return Promise.all(
    groups.map(async fields => {
      const name = String(fields.get('name'))
      const lag = fields.get('lag')
      const pending = Number(fields.get('pending'))
      const oldest = await oldestUnacknowledged(
        redis,
        keys.events,
        name,
        pending,
        String(fields.get('last-delivered-id'))
      )
      return {
        name,
        lag: typeof lag === 'number' ? lag : undefined,
        pending,
        oldestAgeMs: oldest === undefined ? undefined : Math.max(0, nowMs - Number(oldest.split('-')[0]))
      }
    })
  )
}

/** The consumer groups of one stream, as XINFO describes them. @throws what Redis answers */
export async function infoGroups(redis: RedisClient, stream: string): Promise<Map<unknown, unknown>[]> {
  try {
    const groups = (await redis.xinfo('GROUPS', stream)) as unknown[][]
    return groups.map(flat => new Map(flat.map((field, index) => [field, flat[index + 1]])))
  } catch (error) {
    // No stream: nothing was received yet, and nobody waits for it.
    if (error instanceof Error && error.message === 'ERR no such key') return []
    throw error
  }
}

async function oldestUnacknowledged(
  redis: RedisClient,
  stream: string,
  group: string,
  pending: number,
  lastDelivered: string
): Promise<string | undefined> {
  if (pending > 0) {
    const [, oldest] = (await redis.xpending(stream, group)) as [number, string | null]
    if (oldest !== null) return oldest
  }
  const [next] = await redis.xrange(stream, `(${lastDelivered}`, '+', 'COUNT', 1)
  return next?.[0]
}

/**
 * Forgets a group: its place in every partition, its dead letters not. What only it had not read can be trimmed
 * from then on. @returns in how many partitions there was one
 */
export async function removeGroup(redis: RedisClient, keyPrefix: string, group: string): Promise<number> {
  const partitions = await readPartitionCount(redis, keyPrefix)
  const removed = await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const stream = partitionKeys(keyPrefix, partition).events
      return redis.exists(stream).then(found => (found === 1 ? redis.xgroup('DESTROY', stream, group) : 0))
    })
  )
  await redis.del(groupKeys(keyPrefix, group).members)
  return sum(removed.map(Number))
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

function largest(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter(number => number !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}
