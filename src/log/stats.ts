import { mapLimited } from '../async/map-limited.ts'
import type { RedisClient } from '../redis/connect.ts'
import { flatToMap } from '../redis/reply.ts'
import { serverTimeMs } from './dedupe-index.ts'
import { groupKeys, type PartitionKeys } from './keys.ts'
import { allPartitionKeys, publishedPartitions } from './partition.ts'

/** The length of one partition, and how far behind each consumer group is. */
export interface LogStats {
  readonly partition: number
  readonly events: number
  /** `lag` is NaN where Redis does not know it, after XDEL or XGROUP SETID. */
  readonly groups: readonly { readonly name: string; readonly lag: number }[]
}

/** @throws the error of Redis */
export async function logStats(
  redis: RedisClient,
  keyPrefix: string,
  partitions: number
): Promise<readonly LogStats[]> {
  return Promise.all(
    allPartitionKeys(keyPrefix, partitions).map(async ({ events }, partition) => ({
      partition,
      events: await redis.xlen(events),
      groups: (await groupsOf(redis, events)).map(({ name, lag = Number.NaN }) => ({ name, lag }))
    }))
  )
}

/** A consumer group over all partitions. */
export interface GroupStats {
  readonly name: string
  /** Entries not yet delivered to it; `undefined` where Redis does not know it, after entries were removed. */
  readonly lag: number | undefined
  /** Entries delivered and not acknowledged. */
  readonly pending: number
  /** Age of the oldest entry that it has not acknowledged; `undefined` where there is none. */
  readonly oldestAgeMs: number | undefined
  /** Running members. */
  readonly members: number
}

/** Each takes a few commands. There may be a thousand groups, and the receiver uses the same connection. */
const READ_AT_ONCE = 50

/** Every consumer group, by name. @param only the only group that is read @throws the error of Redis */
export async function groupStats(
  redis: RedisClient,
  keyPrefix: string,
  only?: string
): Promise<readonly GroupStats[]> {
  const partitions = await publishedPartitions(redis, keyPrefix)
  const groups = (await Promise.all(partitions.map(keys => readGroups(redis, keys, only)))).flat()
  const byName = new Map<string, (typeof groups)[number][]>()
  for (const group of groups) byName.set(group.name, [...(byName.get(group.name) ?? []), group])
  const stats = await mapLimited([...byName], READ_AT_ONCE, async ([name, parts]) => ({
    name,
    lag: parts.some(({ lag }) => lag === undefined) ? undefined : sum(parts.map(({ lag = 0 }) => lag)),
    pending: sum(parts.map(({ pending }) => pending)),
    oldestAgeMs: largest(parts.map(({ oldestAgeMs }) => oldestAgeMs)),
    // A member that stopped without leaving is removed by the others, and the last one by Redis: see membership.lua.
    members: await redis.zcard(groupKeys(keyPrefix, name).members)
  }))
  return stats.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Deletes a consumer group in every partition, and its list of members, but not its dead letters. @throws the error of Redis */
export async function removeGroup(redis: RedisClient, keyPrefix: string, group: string): Promise<void> {
  const partitions = await publishedPartitions(redis, keyPrefix)
  await Promise.all(
    partitions.map(async ({ events }) => {
      if ((await redis.exists(events)) === 1) await redis.xgroup('DESTROY', events, group)
    })
  )
  await redis.del(groupKeys(keyPrefix, group).members)
}

/** A consumer group in one stream. */
export interface StreamGroup {
  readonly name: string
  readonly lag: number | undefined
  readonly pending: number
  readonly lastDelivered: string
}

/** The consumer groups of a stream; none if it does not exist. @throws the error of Redis */
export async function groupsOf(redis: RedisClient, stream: string): Promise<readonly StreamGroup[]> {
  try {
    const groups = (await redis.xinfo('GROUPS', stream)) as unknown[][]
    return groups.map(flatToMap).map(fields => {
      const lag = fields.get('lag')
      return {
        name: String(fields.get('name')),
        lag: typeof lag === 'number' ? lag : undefined,
        pending: Number(fields.get('pending')),
        lastDelivered: String(fields.get('last-delivered-id'))
      }
    })
  } catch (error) {
    // Without a stream there is no group: nothing was received yet.
    if (error instanceof Error && error.message === 'ERR no such key') return []
    throw error
  }
}

async function readGroups(redis: RedisClient, keys: PartitionKeys, only: string | undefined) {
  const [nowMs, groups] = await Promise.all([serverTimeMs(redis, keys), groupsOf(redis, keys.events)])
  const wanted = only === undefined ? groups : groups.filter(({ name }) => name === only)
  return mapLimited(wanted, READ_AT_ONCE, async group => {
    const oldest = await oldestUnacknowledged(redis, keys.events, group)
    const oldestAgeMs = oldest === undefined ? undefined : Math.max(0, nowMs - Number.parseInt(oldest, 10))
    return { ...group, oldestAgeMs }
  })
}

async function oldestUnacknowledged(
  redis: RedisClient,
  stream: string,
  { name, lag, pending, lastDelivered }: StreamGroup
): Promise<string | undefined> {
  if (pending > 0) {
    const [, oldest] = (await redis.xpending(stream, name)) as [number, string | null]
    if (oldest !== null) return oldest
  }
  if (lag === 0) return undefined // there may be a thousand groups, and most have read everything
  const [next] = await redis.xrange(stream, `(${lastDelivered}`, '+', 'COUNT', 1)
  return next?.[0]
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)

function largest(numbers: readonly (number | undefined)[]): number | undefined {
  const known = numbers.filter(number => number !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}
