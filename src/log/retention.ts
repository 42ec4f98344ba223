import { createPollingLoop } from '../async/poll.ts'
import { runAll } from '../async/run-all.ts'
import type { RedisClient } from '../redis/connect.ts'
import { rotateAndExpire } from './dedupe-index.ts'
import type { PartitionKeys } from './keys.ts'
import { type MessageIndex, maintainMessageIndex } from './message-index.ts'
import { publishedPartitions, publishPartitionCount } from './partition.ts'
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
  /** Where the metrics of messages are remembered; `undefined`: nowhere. */
  readonly messageIndex: MessageIndex | undefined
  /** How long a metric is remembered, at least. */
  readonly messageWindowMs: number
  readonly limits: Pick<StreamLimits, 'enforce'>
  readonly onTrimmed: (reason: TrimReason, entries: number) => void
  readonly onError: (error: unknown) => void
}

/** Keeps the log and the dedupe index within their limits. Several processes may do so at the same time. */
interface Retention {
  /**
   * Trims every partition, expires its dedupe generations, and enforces the limits of the other streams, once.
   *
   * @throws the first error of Redis, after the rest was done
   */
  run(): Promise<void>
  /**
   * Trims entries that every consumer group has acknowledged from a full stream.
   *
   * @returns how many were removed; 0 when all are unread
   * @throws the error of Redis
   */
  trimForSpace(stream: string): Promise<number>
  start(): void
  stop(): Promise<void>
}

/** Calls per stream and run; the next run continues. */
const MAX_TRIMS = 1000
const MAX_INTERVAL_MS = 60_000
const MIN_INTERVAL_MS = 250
/** A full stream is trimmed by a hundredth, so that not every delivery has to trim it. */
const ROOM_SHARE = 100

export function createRetention(options: RetentionOptions): Retention {
  const { redis, keyPrefix, partitions, windowMs, retentionMs, maxLength, limits, messageIndex } = options
  const { messageWindowMs, onTrimmed, onError } = options
  // Nothing is kept longer than its limit by more than an eighth.
  const intervalMs = Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, windowMs / 8, retentionMs / 8))
  const loop = createPollingLoop(run, intervalMs, onError)

  return {
    run,
    trimForSpace: async stream => {
      const room = Math.max(1, Math.floor(maxLength / ROOM_SHARE))
      const { byLength } = await trim(redis, stream, { maxLength: maxLength - room })
      onTrimmed('length', byLength)
      return byLength
    },
    start: loop.start,
    stop: loop.stop
  }

  async function run(): Promise<void> {
    // In each run, because Redis can be emptied at any time.
    await publishPartitionCount(redis, keyPrefix, partitions)
    const published = await publishedPartitions(redis, keyPrefix)
    // A Cluster node that is down must not keep the others from being trimmed and limited.
    await runAll([...published.map(keys => () => runPartition(keys)), enforceLimits])
  }

  async function enforceLimits(): Promise<void> {
    if (!loop.isStopped) await limits.enforce()
  }

  async function runPartition(keys: PartitionKeys): Promise<void> {
    if (loop.isStopped) return
    await trimStream(keys.events)
    await rotateAndExpire(redis, keys, windowMs)
    await maintainMessageIndex(redis, keys, messageIndex, messageWindowMs)
  }

  async function trimStream(stream: string): Promise<void> {
    for (let calls = 0; calls < MAX_TRIMS && !loop.isStopped; calls++) {
      const { byAge, byLength } = await trim(redis, stream, { retentionMs, maxLength })
      onTrimmed('age', byAge)
      onTrimmed('length', byLength)
      if (Math.max(byAge, byLength) < MAX_TRIM_ENTRIES / 2) return
    }
  }
}
