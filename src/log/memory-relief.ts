import type { RedisClient } from '../redis/connect.ts'
import { allPartitionKeys, readPartitionCount } from './partition.ts'
import { entryTimeMs } from './position.ts'
import { MAX_TRIM_ENTRIES, type TrimmedForMemory, trimForMemory, trimGaps } from './trim.ts'

/**
 * Trims entries that every consumer group has acknowledged, when Redis runs short of memory. Several processes may do
 * so at the same time.
 */
export interface MemoryRelief {
  /**
   * On each server that uses more than `PRESSURE` of its maxmemory, removes acknowledged entries, the oldest of all
   * its partitions first, until it uses at most `RELIEVED`, or everything left is unread. Concurrent calls share a run.
   *
   * @returns whether it is finished; the next call continues a long run
   * @throws the error of Redis
   */
  relieve(): Promise<boolean>
  /** Frees memory after Redis refused to append to this stream. @returns whether there is enough now */
  makeRoom(stream: string): Promise<boolean>
  /** Whether the last `makeRoom` for this stream did not free enough. */
  isFull(stream: string): boolean
  /** Ends a running relief early. */
  stop(): Promise<void>
}

/** Above this share of maxmemory, acknowledged entries are trimmed before their time. */
export const PRESSURE = 0.8
/** Trimming stops here, so that it is not needed again at once. */
const RELIEVED = 0.7
/**
 * A server that was full gets events again below this. Consumers need memory too, for reads and push queues, and only
 * they make more entries trimmable.
 */
const RESUMED = 0.97
/** A delivery waits for memory no longer than this. */
const MAX_RUN_MS = 300
const FIRST_ENTRIES = 64
/** The next call may remove at most this many times the entries of the last: newer entries can be much larger. */
const GROWTH = 4
/** Calls of trim-gaps.lua per run, about 1 ms each. They also read entries that must stay. */
const MAX_GAP_CALLS = 20
const GAP_ENTRIES = 500
/** A full server is not trimmed again sooner; otherwise each refused delivery would do so. */
const FULL_MS = 100

interface Partition {
  readonly stream: string
  /** When its oldest entry was appended, unix milliseconds. */
  oldestMs: number
  /** Entries that the next call may remove. */
  entries: number
}

type PartitionUsage = TrimmedForMemory & { readonly partition: Partition }

interface MemoryReliefOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly partitions: number
  /** Called with the number of entries that were removed. */
  readonly onTrimmed: (entries: number) => void
}

export function createMemoryRelief(options: MemoryReliefOptions): MemoryRelief {
  const { redis, keyPrefix, onTrimmed } = options
  let current: Promise<boolean> | undefined
  let stopped = false
  /** When trimming last left a server full, by stream. */
  const fullAtMs = new Map<string, number>()
  /** Where the search for gaps continues, by stream. */
  const gapsAfter = new Map<string, string>()

  return {
    relieve,
    makeRoom: async stream => {
      const sinceFullMs = performance.now() - (fullAtMs.get(stream) ?? Number.NEGATIVE_INFINITY)
      if (sinceFullMs >= FULL_MS) await relieve()
      const hasRoom = isBelow(RESUMED, await trimForMemory(redis, stream, 0, RELIEVED))
      if (hasRoom) fullAtMs.delete(stream)
      else if (sinceFullMs >= FULL_MS) fullAtMs.set(stream, performance.now())
      return hasRoom
    },
    isFull: stream => fullAtMs.has(stream),
    stop: async () => {
      stopped = true
      await current?.catch(() => {})
    }
  }

  function relieve(): Promise<boolean> {
    current ??= run().finally(() => {
      current = undefined
    })
    return current
  }

  async function run(): Promise<boolean> {
    const servers = new Map<string, PartitionUsage[]>()
    for (const usage of await readUsage())
      servers.set(usage.server, [...(servers.get(usage.server) ?? []), usage])
    const underPressure = [...servers.values()].filter(usages =>
      usages.some(usage => !isBelow(PRESSURE, usage))
    )
    const runs = underPressure.map(usages => relieveServer(usages.map(({ partition }) => partition)))
    return (await Promise.all(runs)).every(isFinished => isFinished)
  }

  /** Every reachable partition: a Cluster node that is down must not keep the others full. */
  async function readUsage(): Promise<readonly PartitionUsage[]> {
    const published = await readPartitionCount(redis, keyPrefix).catch(() => 0)
    const partitions = allPartitionKeys(keyPrefix, Math.max(options.partitions, published))
    const usages = await Promise.allSettled(
      partitions.map(async ({ events: stream }): Promise<PartitionUsage> => {
        const found = await trimForMemory(redis, stream, 0, PRESSURE)
        return {
          ...found,
          partition: { stream, oldestMs: entryTimeMs(found.oldest), entries: FIRST_ENTRIES }
        }
      })
    )
    const reached = usages.flatMap(usage => (usage.status === 'fulfilled' ? [usage.value] : []))
    const [first] = usages
    if (reached.length === 0 && first?.status === 'rejected') throw first.reason
    return reached.filter(({ oldest }) => oldest !== '')
  }

  /** @returns whether it is finished */
  async function relieveServer(partitions: readonly Partition[]): Promise<boolean> {
    const endMs = performance.now() + MAX_RUN_MS
    const left = new Set(partitions)
    while (left.size > 0) {
      if (performance.now() > endMs || stopped) return false
      const partition = [...left].reduce((a, b) => (b.oldestMs < a.oldestMs ? b : a))
      const trimmed = await trimForMemory(redis, partition.stream, partition.entries, RELIEVED)
      if (trimmed.removed > 0) onTrimmed(trimmed.removed)
      if (isBelow(RELIEVED, trimmed)) return true
      // Redis removes whole nodes, so slightly fewer entries do not mean that nothing is left.
      if (trimmed.removed < partition.entries / 2) left.delete(partition)
      partition.oldestMs = entryTimeMs(trimmed.oldest)
      partition.entries = nextEntries(partition.entries, trimmed)
    }
    return trimBehindUnacknowledged(partitions)
  }

  async function trimBehindUnacknowledged(partitions: readonly Partition[]): Promise<boolean> {
    let isFinished = true
    const maxCalls = Math.ceil(MAX_GAP_CALLS / partitions.length)
    for (const { stream } of partitions) {
      for (let calls = 0; calls < maxCalls && !stopped; calls++) {
        const { removed, next } = await trimGaps(redis, stream, GAP_ENTRIES, gapsAfter.get(stream) ?? '0-0')
        gapsAfter.set(stream, next === '' ? '0-0' : next)
        if (removed > 0) onTrimmed(removed)
        if (removed > 0 && isBelow(RELIEVED, await trimForMemory(redis, stream, 0, RELIEVED))) return true
        if (next === '') break
        if (removed > 0 && calls === maxCalls - 1) isFinished = false
      }
    }
    return isFinished
  }
}

const isBelow = (share: number, { usedBytes, maxBytes }: TrimmedForMemory): boolean =>
  maxBytes === 0 || usedBytes <= share * maxBytes

/** The entries needed if they are as large as the last ones, with limited growth in case they are larger. */
function nextEntries(
  entries: number,
  { removed, usedBytesBefore, usedBytes, maxBytes }: TrimmedForMemory
): number {
  const bytesPerEntry = Math.max(1, (usedBytesBefore - usedBytes) / Math.max(1, removed))
  const wanted = Math.ceil((usedBytes - RELIEVED * maxBytes) / bytesPerEntry)
  return Math.max(1, Math.min(wanted, entries * GROWTH, MAX_TRIM_ENTRIES))
}
