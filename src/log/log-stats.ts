import type { RedisClient } from '../redis/connect.ts'
import { infoGroups } from './group-stats.ts'
import { partitionKeys } from './keys.ts'

/** What the log looks like from outside, one row a partition. */
export interface LogStats {
  readonly partition: number
  readonly events: number
  readonly groups: readonly { readonly name: string; readonly lag: number }[]
}

/**
 * How long the log is and how far behind each consumer group. @throws what Redis answers
 */
export async function logStats(
  redis: RedisClient,
  keyPrefix: string,
  partitions: number
): Promise<readonly LogStats[]> {
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { events } = partitionKeys(keyPrefix, partition)
      return { partition, events: await redis.xlen(events), groups: await lagsOf(redis, events) }
    })
  )
}

async function lagsOf(redis: RedisClient, stream: string): Promise<LogStats['groups']> {
  const groups = await infoGroups(redis, stream)
  // Redis can't tell a lag after XDEL or XGROUP SETID in the middle of a stream.
  return groups.map(fields => ({
    name: String(fields.get('name')),
    lag: Number(fields.get('lag') ?? Number.NaN)
  }))
}
