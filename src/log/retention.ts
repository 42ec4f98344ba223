import { createPollingLoop } from '../async/poll.ts'
import type { RedisClient } from '../redis/connect.ts'
import { rotateAndExpire } from './dedupe-index.ts'
import { partitionKeys } from './keys.ts'
import { publishPartitionCount, readPartitionCount } from './partition-count.ts'
import type { StreamLimits } from './stream-limits.ts'
import { MAX_TRIM_ENTRIES, trim } from './trim.ts'

/** Why an acknowledged entry was removed from the log. */
export type TrimReason = 'age' | 'length' | 'memory'

export interface RetentionOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly partitions: number
  readonly windowMs: number
  readonly retentionMs: number
  readonly maxLength: number
  readonly limits: Pick<StreamLimits, 'enforce'>
  readonly onTrimmed: (reason: TrimReason, entries: number) => void
  readonly onError: (error: unknown) => void
}

/** Keeps the log and what is remembered within their limits. Any number of processes may do so at once. */
export interface Retention {
  /** Trims and sweeps every partition once. @throws what Redis answers */
  run(): Promise<void>
  /**
   * Removes what every consumer group has acknowledged from a stream that is full, so that some more fits.
   *
   * @returns how many entries were removed; 0 when all of it is still unread
   */
  makeRoom(stream: string): Promise<number>
  start(): void
  stop(): Promise<void>
}

/** Calls one run spends on one stream; what is left is the next run's. */
const MAX_TRIMS = 1000
const MAX_INTERVAL_MS = 60_000
const MIN_INTERVAL_MS = 250
/** A full stream is relieved by a hundredth, so that not every delivery has to ask for room. */
const ROOM_SHARE = 100

export function createRetention(options: RetentionOptions): Retention {
  const { redis, keyPrefix, partitions, windowMs, retentionMs, maxLength, limits, onTrimmed, onError } =
    options
  // Often enough that nothing outlives its time by more than an eighth.
  const intervalMs = Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, windowMs / 8, retentionMs / 8))
  const loop = createPollingLoop(run, intervalMs, onError)

  return {
    run,
    makeRoom: async stream => {
      const room = Math.max(1, Math.floor(maxLength / ROOM_SHARE))
      const { byLength } = await trim(redis, stream, {
        entries: MAX_TRIM_ENTRIES,
        maxLength: maxLength - room
      })
      onTrimmed('length', byLength)
      return byLength
    },
    start: loop.start,
    stop: loop.stop
  }

  async function run(): Promise<void> {
    // Again and again, since Redis may have been emptied under us.
    await publishPartitionCount(redis, keyPrefix, partitions)
    const announced = await readPartitionCount(redis, keyPrefix)
    // One server of a Cluster that is away must not keep the others from being trimmed.
    const errors: unknown[] = []
    for (let partition = 0; partition < announced && !loop.isStopped; partition++) {
      await keepWithin(partition).catch(error => errors.push(error))
    }
    if (errors.length > 0) throw errors[0]
    if (!loop.isStopped) await limits.enforce()
  }

  async function keepWithin(partition: number): Promise<void> {
    const keys = partitionKeys(keyPrefix, partition)
    await trimStream(keys.events)
    await rotateAndExpire(redis, keys, windowMs)
  }

  async function trimStream(stream: string): Promise<void> {
    for (let calls = 0; calls < MAX_TRIMS && !loop.isStopped; calls++) {
      const { byAge, byLength } = await trim(redis, stream, {
        entries: MAX_TRIM_ENTRIES,
        retentionMs,
        maxLength
      })
      onTrimmed('age', byAge)
      onTrimmed('length', byLength)
      if (Math.max(byAge, byLength) < MAX_TRIM_ENTRIES / 2) return
    }
  }
}
