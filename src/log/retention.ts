import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { sweepGenerations } from './generations.ts'
import { partitionKeys } from './keys.ts'
import { announcePartitions } from './partition-count.ts'

export interface RetentionOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly partitions: number
  readonly windowMs: number
  readonly retentionMs: number
  readonly maxLength: number
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

/** At most this many entries go in one call: Redis does nothing else meanwhile (about 1 ms). */
const TRIM_LIMIT = 1000
/** Calls one run spends on one stream; what is left is the next run's. */
const MAX_TRIMS = 1000
const MAX_INTERVAL_MS = 60_000
const MIN_INTERVAL_MS = 250
/** A full stream is relieved by a hundredth, so that not every delivery has to ask for room. */
const ROOM_SHARE = 100

const trimScript = loadScript(new URL('trim.lua', import.meta.url))

export function createRetention(options: RetentionOptions): Retention {
  const { redis, keyPrefix, partitions, windowMs, retentionMs, maxLength, onError } = options
  // Often enough that nothing outlives its time by more than an eighth.
  const intervalMs = Math.max(MIN_INTERVAL_MS, Math.min(MAX_INTERVAL_MS, windowMs / 8, retentionMs / 8))
  let timer: NodeJS.Timeout | undefined
  let current: Promise<void> = Promise.resolve()
  let stopped = false

  return {
    run,
    makeRoom: async stream => {
      const [removed] = await trim(stream, '', maxLength - Math.max(1, Math.floor(maxLength / ROOM_SHARE)))
      return removed
    },
    start: () => schedule(),
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await current
    }
  }

  async function run(): Promise<void> {
    // Again and again, since Redis may have been emptied under us.
    await announcePartitions(redis, keyPrefix, partitions)
    for (let partition = 0; partition < partitions && !stopped; partition++) {
      const keys = partitionKeys(keyPrefix, partition)
      for (const stream of [keys.events, keys.parked]) await trimByAge(stream)
      await sweepGenerations(redis, keys, windowMs)
    }
  }

  async function trimByAge(stream: string): Promise<void> {
    for (let calls = 0; calls < MAX_TRIMS && !stopped; calls++) {
      const [removed] = await trim(stream, retentionMs, maxLength)
      if (removed < TRIM_LIMIT / 2) return
    }
  }

  async function trim(stream: string, keepMs: number | '', keepLength: number): Promise<[number, number]> {
    const args = [keepMs, keepLength, TRIM_LIMIT]
    return (await runScript(redis, trimScript, [stream], args)) as [number, number]
  }

  function schedule(): void {
    if (stopped) return
    timer = setTimeout(() => {
      current = run()
        .catch(onError)
        .finally(() => schedule())
    }, intervalMs)
    timer.unref()
  }
}
