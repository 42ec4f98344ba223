import type { RedisClient } from '../redis/connect.ts'
import { partitionKeys } from './keys.ts'
import { readPartitionCount } from './partition-count.ts'
import { MAX_TRIM_ENTRIES, type TrimmedForMemory, trimForMemory, trimGaps } from './trim.ts'

/** Makes room in a Redis that fills up, with what every consumer group has acknowledged. Any number of processes may. */
export interface MemoryRelief {
  /**
   * On each server that uses more than `PRESSURE` of its maxmemory, removes acknowledged entries, the oldest of all
   * its partitions first, until it uses no more than `RELIEVED`, or nothing is left that may go. Calls at the same
   * time share one run.
   *
   * @returns whether it is finished: a run that takes long is continued by the next call
   * @throws what Redis answers
   */
  relieve(): Promise<boolean>
  /** After Redis refused to append to this stream: makes room. @returns whether there is enough now */
  makeRoom(stream: string): Promise<boolean>
  /** Was there not enough room for this stream when it was last asked for? */
  isFull(stream: string): boolean
  /** Ends what is running early. */
  stop(): Promise<void>
}

/** From this share of maxmemory on, acknowledged entries are trimmed early. */
export const PRESSURE = 0.8
/** How far: enough that the next time is a while away. */
const RELIEVED = 0.7
/**
 * Once it was full, a server takes events again below this: consumers need memory too, to read and to queue what they
 * push, and they are the ones that make room.
 */
const RESUMED = 0.97
/** A delivery waits for room no longer than this. */
const MAX_RUN_MS = 300
const FIRST_ENTRIES = 64
/** How many times as many entries as before the next call may remove: what follows can be much larger. */
const GROWTH = 4
/** Calls of trim-gaps.lua in one run, about 1 ms each: they also read what cannot go. */
const MAX_GAP_CALLS = 20
const GAP_ENTRIES = 500
/** Nothing is trimmed again sooner on a server that was found to be full: each refused delivery would do so. */
const FULL_MS = 100

interface Partition {
  readonly stream: string
  /** When its oldest entry was appended. */
  oldestMs: number
  /** How many entries the next call may remove. */
  entries: number
}

type Look = TrimmedForMemory & { readonly partition: Partition }

export interface MemoryReliefOptions {
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
  /** When trimming last left a server without room, by stream. */
  const fullAtMs = new Map<string, number>()
  /** Where the search for gaps goes on, by stream. */
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
    const servers = new Map<string, Look[]>()
    for (const look of await lookAtAll())
      servers.set(look.server, [...(servers.get(look.server) ?? []), look])
    const underPressure = [...servers.values()].filter(looks => looks.some(look => !isBelow(PRESSURE, look)))
    const runs = underPressure.map(looks => relieveServer(looks.map(({ partition }) => partition)))
    return (await Promise.all(runs)).every(isFinished => isFinished)
  }

  /** Every partition that can be reached; one server of a Cluster that is away must not keep the others full. */
  async function lookAtAll(): Promise<readonly Look[]> {
    const announced = await readPartitionCount(redis, keyPrefix).catch(() => 0)
    const partitions = Math.max(options.partitions, announced)
    const looks = await Promise.allSettled(
      Array.from({ length: partitions }, async (_, number): Promise<Look> => {
        const stream = partitionKeys(keyPrefix, number).events
        const found = await trimForMemory(redis, stream, 0, PRESSURE)
        return {
          ...found,
          partition: { stream, oldestMs: millisecondsOf(found.oldest), entries: FIRST_ENTRIES }
        }
      })
    )
    const reached = looks.flatMap(look => (look.status === 'fulfilled' ? [look.value] : []))
    const [first] = looks
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
      // Redis removes whole nodes, so a few entries less than asked for do not mean that this was all.
      if (trimmed.removed < partition.entries / 2) left.delete(partition)
      partition.oldestMs = millisecondsOf(trimmed.oldest)
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

const millisecondsOf = (id: string): number => Number.parseInt(id, 10)

/** As many entries as it takes if they are as large as those before; not too many more at a time, if they are not. */
function nextEntries(
  entries: number,
  { removed, usedBytesBefore, usedBytes, maxBytes }: TrimmedForMemory
): number {
  const bytesPerEntry = Math.max(1, (usedBytesBefore - usedBytes) / Math.max(1, removed))
  const wanted = Math.ceil((usedBytes - RELIEVED * maxBytes) / bytesPerEntry)
  return Math.max(1, Math.min(wanted, entries * GROWTH, MAX_TRIM_ENTRIES))
}
