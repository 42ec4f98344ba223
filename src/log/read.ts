import type { RedisClient } from '../redis/connect.ts'
import { partitionKeys } from './keys.ts'

/** What the log looks like from outside, one row a partition. */
export interface LogReading {
  readonly partition: number
  readonly events: number
  readonly groups: readonly { readonly name: string; readonly lag: number }[]
}

/**
 * How long the log is and how far behind each consumer group. @throws what Redis answers
 */
export async function readLog(
  redis: RedisClient,
  keyPrefix: string,
  partitions: number
): Promise<readonly LogReading[]> {
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { events } = partitionKeys(keyPrefix, partition)
      const length = await redis.xlen(events)
      return { partition, events: length, groups: length === 0 ? [] : await readGroups(redis, events) }
    })
  )
}

async function readGroups(redis: RedisClient, stream: string): Promise<LogReading['groups']> {
  const groups = (await redis.xinfo('GROUPS', stream)) as unknown[][]
  return groups.map(flat => {
    const fields = new Map(flat.map((field, index) => [field, flat[index + 1]]))
    // Redis can't tell a lag after XDEL or XGROUP SETID in the middle of a stream.
    return { name: String(fields.get('name')), lag: Number(fields.get('lag') ?? Number.NaN) }
  })
}
