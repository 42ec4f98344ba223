import {
  bucketKeysOf,
  formatGenerations,
  type Generations,
  memberField,
  parseGenerations
} from '../../log/dedupe-index.ts'
import type { PartitionKeys } from '../../log/keys.ts'
import { publishedPartitions } from '../../log/partition.ts'
import { entryTimeMs } from '../../log/position.ts'
import { readSources } from '../../log/published-log.ts'
import { digestsOfId } from '../../receive/event-id.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { loadScript, runScript } from '../../redis/script.ts'

/** Unix milliseconds, both included. */
export interface TimeRange {
  readonly fromMs: number
  readonly toMs: number
}

/** Where in a partition events with the searched ids can be. Elsewhere there is none. */
export interface IdRanges {
  /** They can have any number of them: the index does not cover these times, or has lost a part. */
  readonly uncovered: readonly TimeRange[]
  /** One event each, unless it is trimmed, or outside of this process' filter. */
  readonly remembered: readonly TimeRange[]
}

/** More ids are searched in the whole log: each is looked up in every partition. */
const MAX_IDS = 20
/** Digests times generations in one call: about a millisecond of Redis. */
const MAX_LOOKUPS = 1000
/** The list can change between two calls, but seldom. */
const MAX_STALE = 3
/** A generation begins a little after the time in the list, and the clocks of masters may differ. */
const SLACK_MS = 60_000

const findScript = loadScript(new URL('find-ids.lua', import.meta.url))

/**
 * Where events with these ids can be, by the dedupe index: every event is appended in one step with the digest of its id,
 * which stays in the index for the dedupe window. A missing digest proves that no event was appended since the oldest
 * generation began.
 *
 * @returns the ranges by partition, none for a partition without such events; `undefined` if the index says nothing
 * @throws the error of Redis
 */
export async function findIds(
  redis: RedisClient,
  keyPrefix: string,
  ids: readonly string[]
): Promise<ReadonlyMap<number, IdRanges> | undefined> {
  const sources = await readSources(redis, keyPrefix)
  if (sources === undefined || ids.length > MAX_IDS) return undefined
  const found = new Map<number, IdRanges>()
  const partitions = await publishedPartitions(redis, keyPrefix)
  for (const id of new Set(ids)) {
    const lists = sources.names.map(source => digestsOfId(id, source))
    const digests = [...new Set(lists.flatMap(list => list.digests))]
    const ranges: IdRanges[] = []
    for (const keys of partitions) {
      const inPartition = await lookUp(redis, keys, digests, sources.sinceMs)
      if (inPartition === undefined) return undefined
      ranges.push(inPartition)
    }
    const isRemembered = ranges.some(({ remembered }) => remembered.length > 0)
    if (!isRemembered && lists.some(({ isComplete }) => !isComplete)) return undefined
    for (const [partition, { uncovered, remembered }] of ranges.entries()) {
      if (uncovered.length + remembered.length === 0) continue
      const before = found.get(partition)
      found.set(partition, {
        uncovered: [...(before?.uncovered ?? []), ...uncovered],
        remembered: [...(before?.remembered ?? []), ...remembered]
      })
    }
  }
  return found
}

async function lookUp(
  redis: RedisClient,
  keys: PartitionKeys,
  digests: readonly string[],
  sinceMs: number
): Promise<IdRanges | undefined> {
  let generations: Generations = []
  const members = digests.map(memberField)
  for (let attempt = 0; attempt < MAX_STALE; attempt++) {
    if (digests.length * generations.length > MAX_LOOKUPS) return undefined
    const buckets = digests.flatMap(digest => bucketKeysOf(keys, generations, digest))
    const scriptKeys = [keys.generations, keys.events, ...buckets]
    const reply = await runScript(redis, findScript, scriptKeys, [formatGenerations(generations), ...members])
    const [status, detail, evicted, ...states] = reply as [string, string, string, ...number[]]
    if (status === 'done') {
      const isIntact = evicted === '0' && isOrdered(generations)
      return isIntact ? rangesOf(generations, states, detail, sinceMs) : undefined
    }
    generations = parseGenerations(detail)
  }
  return undefined
}

/** Whether the clock has not gone back. */
const isOrdered = (generations: Generations): boolean =>
  generations.every(({ openedAtMs }, index) => openedAtMs <= (generations[index - 1]?.openedAtMs ?? Infinity))

function rangesOf(
  generations: Generations,
  states: readonly number[],
  oldestEntry: string,
  sinceMs: number
): IdRanges {
  if (oldestEntry === '') return { uncovered: [], remembered: [] }
  const uncovered: TimeRange[] = []
  const remembered: TimeRange[] = []
  const oldestMs = entryTimeMs(oldestEntry)
  const coveredFromMs = Math.max(generations.at(-1)?.openedAtMs ?? Infinity, sinceMs) + SLACK_MS
  if (oldestMs <= coveredFromMs) uncovered.push({ fromMs: 0, toMs: coveredFromMs })
  for (const [index, state] of states.entries()) {
    if (state === 0) continue
    const number = index % generations.length
    const range = {
      fromMs: (generations[number]?.openedAtMs ?? 0) - SLACK_MS,
      toMs: (generations[number - 1]?.openedAtMs ?? Infinity) + SLACK_MS
    }
    // Without the hash it is unknown what it had: nothing in a generation that has just begun.
    if (range.toMs >= oldestMs) (state === 1 ? remembered : uncovered).push(range)
  }
  return { uncovered, remembered }
}
