import type { RedisClient } from '../redis/connect.ts'
import { groupStats } from './group-stats.ts'
import { partitionKeys } from './keys.ts'
import { readPartitionCount } from './partition-count.ts'

/** What keeps the log from being trimmed. */
export interface LogHold {
  /** Redis' memory that the events take, about. */
  readonly logBytes: number
  /** The consumer group with the most unacknowledged events; `undefined` where there is no group. */
  readonly holder: Holder | undefined
}

export interface Holder {
  readonly consumer: string
  /** Events it has not read or not acknowledged. */
  readonly unacknowledged: number
  /** Redis' memory that these take, about. */
  readonly bytes: number
  readonly oldestAgeMs: number | undefined
}

/** Nodes of a stream that Redis weighs, in about 2 ms; it estimates the rest, up to 80 MB are exact. */
const SAMPLES = 20_000

/** @throws what Redis answers */
export async function readLogHold(redis: RedisClient, keyPrefix: string): Promise<LogHold> {
  const partitions = await readPartitionCount(redis, keyPrefix)
  const streams = Array.from({ length: partitions }, (_, number) => partitionKeys(keyPrefix, number).events)
  const [groups, sizes] = await Promise.all([
    groupStats(redis, keyPrefix),
    Promise.all(
      streams.map(async stream => ({
        entries: await redis.xlen(stream),
        bytes: (await redis.memory('USAGE', stream, 'SAMPLES', SAMPLES)) ?? 0
      }))
    )
  ])
  const entries = sizes.reduce((sum, size) => sum + size.entries, 0)
  const logBytes = sizes.reduce((sum, size) => sum + size.bytes, 0)
  const holders = groups.map(({ name, lag, pending, oldestAgeMs }): Holder => {
    // Redis cannot always tell how far a group is behind; then it may need the whole log.
    const unacknowledged = lag === undefined ? entries : Math.min(entries, lag + pending)
    const bytes = entries === 0 ? 0 : Math.round((logBytes / entries) * unacknowledged)
    return { consumer: name, unacknowledged, bytes, oldestAgeMs }
  })
  return { logBytes, holder: holders.sort((a, b) => b.unacknowledged - a.unacknowledged)[0] }
}
