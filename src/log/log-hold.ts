import type { RedisClient } from '../redis/connect.ts'
import { publishedPartitions } from './partition.ts'
import { groupStats } from './stats.ts'

/** What keeps the log from being trimmed. */
export interface LogHold {
  /** Approximate memory of Redis that the events use. */
  readonly logBytes: number
  /** The consumer group with the most unacknowledged events; `undefined` where there is no group. */
  readonly holder: Holder | undefined
}

interface Holder {
  readonly consumer: string
  /** Events that it has not read or not acknowledged. */
  readonly unacknowledged: number
  /** Approximate memory of Redis that these use. */
  readonly bytes: number
  readonly oldestAgeMs: number | undefined
}

/** Nodes of a stream that Redis measures, in about 2 ms. Up to 80 MB are exact, the rest is an estimate. */
const SAMPLES = 20_000

/** @throws the error of Redis */
export async function readLogHold(redis: RedisClient, keyPrefix: string): Promise<LogHold> {
  const partitions = await publishedPartitions(redis, keyPrefix)
  const [groups, sizes] = await Promise.all([
    groupStats(redis, keyPrefix),
    Promise.all(
      partitions.map(async ({ events }) => ({
        entries: await redis.xlen(events),
        bytes: (await redis.memory('USAGE', events, 'SAMPLES', SAMPLES)) ?? 0
      }))
    )
  ])
  const entries = sizes.reduce((sum, size) => sum + size.entries, 0)
  const logBytes = sizes.reduce((sum, size) => sum + size.bytes, 0)
  const holders = groups.map(({ name, lag, pending, oldestAgeMs }): Holder => {
    // Where Redis does not know the lag, the group may need the whole log.
    const unacknowledged = lag === undefined ? entries : Math.min(entries, lag + pending)
    const bytes = entries === 0 ? 0 : Math.round((logBytes / entries) * unacknowledged)
    return { consumer: name, unacknowledged, bytes, oldestAgeMs }
  })
  return { logBytes, holder: holders.sort((a, b) => b.unacknowledged - a.unacknowledged)[0] }
}
