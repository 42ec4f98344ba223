// Tested by test/tools/events/search.slow.test.ts.
import { partitionKeys } from '../../log/keys.ts'
import { partitionsOfKeys, readPartitionCount } from '../../log/partition.ts'
import { entryTimeMs, formatPosition, type LogPosition, parsePosition } from '../../log/position.ts'
import { compareIds, type StreamEntry } from '../../log/read-range.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { compileFilter, type EventFilter } from './event-filter.ts'
import type { IdRanges, TimeRange } from './id-index.ts'
import { scanStep } from './scan.ts'

/** The log that is searched. */
export interface SearchedLog {
  readonly redis: RedisClient
  readonly keyPrefix: string
}

export interface EventQuery extends EventFilter {
  /** Unix milliseconds of Redis when the event was appended, both included. */
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** Only events that are older than this position: the `older` of the page before. */
  readonly before?: LogPosition | undefined
  /** The most events to return. */
  readonly count: number
}

export interface SearchOptions {
  /** Ends the search: what was found until then is returned. */
  readonly signal?: AbortSignal | undefined
  /** Ends the search after so long, as `signal` does. */
  readonly budgetMs?: number | undefined
  /** Ends the search when the events that were found have so many bytes, as `signal` does: an event can have 8 MiB. */
  readonly maxBytes?: number | undefined
  /** @param share of the log that was searched, from 0 to 1 */
  readonly onProgress?: ((share: number, searched: number) => void) | undefined
}

export interface FoundEvents {
  /** Newest first. */
  readonly entries: readonly StreamEntry[]
  /** How many events were read, and when the oldest and the newest of them were appended, unix milliseconds. */
  readonly searched: number
  readonly oldestMs: number | undefined
  readonly newestMs: number | undefined
  /** `before` of the next page; `undefined` if everything was searched. */
  readonly older: LogPosition | undefined
  /** The dedupe index was asked where the ids are, and only these parts of the log were read: none for an unknown id. */
  readonly isIndexed: boolean
}

/** A partition that is searched. */
interface Lane {
  readonly partition: number
  readonly stream: string
  newest: string
  readonly oldest: string
  /** Where in it events with the searched ids can be; `undefined`: everywhere. */
  readonly ranges: IdRanges | undefined
  /** How many events were found of those that the index remembers. */
  remembered: number
  /** The id down to which it was searched; `undefined` before the first step. */
  reached: string | undefined
  isDone: boolean
  /** Matching entries that are not returned yet, newest first. */
  readonly found: StreamEntry[]
}

/**
 * Walks through the log, newest first over all partitions, until `count` events are found.
 *
 * @param ids where events with the searched ids can be, by partition: see `findIds`
 * @throws TypeError for a type that cannot match anything, and the error of Redis
 */
export async function walkLog(
  log: SearchedLog,
  query: EventQuery,
  options: SearchOptions = {},
  ids?: ReadonlyMap<number, IdRanges>
): Promise<FoundEvents> {
  const signal = options.signal
  const endsAtMs = performance.now() + (options.budgetMs ?? Number.POSITIVE_INFINITY)
  const { scan, matches } = compileFilter(query)
  const lanes = await openLanes(log, query, ids)
  const total = options.onProgress === undefined ? 0 : await length(log.redis, lanes)
  const entries: StreamEntry[] = []
  const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY
  let foundBytes = 0
  const seen = { count: 0, oldest: Number.POSITIVE_INFINITY, newest: Number.NEGATIVE_INFINITY }

  for (;;) {
    const lane = nextLane(lanes)
    take(lanes, lane, query.count, entries)
    if (entries.length >= query.count || lane === undefined) break
    // Each partition takes one step at least: without it, no position says how far the search came.
    const mayEnd = lane.reached !== undefined
    const isOver = signal?.aborted || performance.now() >= endsAtMs || foundBytes >= maxBytes
    if (mayEnd && isOver) break
    await step(lane)
    options.onProgress?.(Math.min(1, seen.count / Math.max(1, total)), seen.count)
  }
  return {
    entries,
    searched: seen.count,
    oldestMs: seen.count === 0 ? undefined : seen.oldest,
    newestMs: seen.count === 0 ? undefined : seen.newest,
    older: olderThan(lanes, entries, query),
    isIndexed: ids !== undefined
  }

  async function step(lane: Lane): Promise<void> {
    const missing = query.count - entries.length
    const result = await scanStep(log.redis, lane.stream, lane, scan, missing)
    for (const [id, type, event] of result.entries) {
      if (!matches({ type, event })) continue
      lane.found.push({ partition: lane.partition, id, type, event })
      foundBytes += event.length
      if (lane.ranges?.uncovered.every(range => !isWithin(entryTimeMs(id), range))) lane.remembered++
    }
    lane.isDone = result.isDone
    if (result.walked === 0) return
    lane.reached = result.oldest
    lane.isDone ||= hasAllIds(lane, result.oldest)
    lane.newest = `(${result.oldest}`
    seen.count += result.walked
    seen.oldest = Math.min(seen.oldest, entryTimeMs(result.oldest))
    seen.newest = Math.max(seen.newest, entryTimeMs(result.newest))
  }
}

/** Masters of a Cluster have clocks of their own: how far they may differ. */
export const CLOCK_DIFFERENCE_MS = 5000
const isWithin = (ms: number, { fromMs, toMs }: TimeRange): boolean => ms >= fromMs && ms <= toMs

/** Whether all events with the searched ids that can be in the partition are found. */
const hasAllIds = ({ ranges, remembered }: Lane, reached: string): boolean =>
  ranges !== undefined &&
  remembered >= ranges.remembered.length &&
  ranges.uncovered.every(({ fromMs }) => entryTimeMs(reached) < fromMs)

async function openLanes(
  { redis, keyPrefix }: SearchedLog,
  query: EventQuery,
  ids: ReadonlyMap<number, IdRanges> | undefined
): Promise<readonly Lane[]> {
  const { customers, before } = query
  const partitions =
    customers === undefined
      ? [...Array(await readPartitionCount(redis, keyPrefix)).keys()]
      : await partitionsOfKeys(redis, keyPrefix, customers)
  const possible = ids === undefined ? partitions : partitions.filter(partition => ids.has(partition))
  return possible.map(partition => {
    const ranges = ids?.get(partition)
    const all = ranges === undefined ? [] : [...ranges.uncovered, ...ranges.remembered]
    const fromMs = Math.max(
      query.fromMs ?? 0,
      all.length === 0 ? 0 : Math.min(...all.map(range => range.fromMs))
    )
    const toMs = Math.min(
      query.toMs ?? Infinity,
      ...(all.length === 0 ? [] : [Math.max(...all.map(range => range.toMs))])
    )
    return {
      partition,
      stream: partitionKeys(keyPrefix, partition).events,
      newest: newestOf(partition, toMs),
      oldest: fromMs === 0 ? '-' : String(fromMs),
      ranges,
      remembered: 0,
      reached: undefined,
      isDone: false,
      found: []
    }
  })

  function newestOf(partition: number, toMs: number): string {
    const to = toMs === Infinity ? '+' : String(toMs)
    if (before === undefined) return to
    const { partition: last, id } = parsePosition(before)
    if (toMs < entryTimeMs(id)) return to
    return partition < last ? id : `(${id}`
  }
}

async function length(redis: RedisClient, lanes: readonly Lane[]): Promise<number> {
  const lengths = await Promise.all(lanes.map(({ stream }) => redis.xlen(stream)))
  return lengths.reduce((sum, entries) => sum + entries, 0)
}

/** The lane that has been searched least far: only it can have newer events than those found. */
function nextLane(lanes: readonly Lane[]): Lane | undefined {
  let next: Lane | undefined
  for (const lane of lanes) {
    if (lane.isDone) continue
    if (lane.reached === undefined) return lane
    if (next?.reached === undefined || compareIds(lane.reached, next.reached) > 0) next = lane
  }
  return next
}

/** Moves found entries to `entries`: those that are newer than all that `next` can still find. */
function take(lanes: readonly Lane[], next: Lane | undefined, count: number, entries: StreamEntry[]): void {
  if (next !== undefined && next.reached === undefined) return
  while (entries.length < count) {
    const lane = lanes.filter(({ found }) => found.length > 0).sort(byNewest)[0]
    const entry = lane?.found[0]
    if (lane === undefined || entry === undefined) return
    if (next?.reached !== undefined && compareIds(entry.id, next.reached) < 0) return
    lane.found.shift()
    entries.push(entry)
  }
}

const byNewest = (a: Lane, b: Lane): number =>
  compareIds(b.found[0]?.id ?? '', a.found[0]?.id ?? '') || b.partition - a.partition

function olderThan(
  lanes: readonly Lane[],
  entries: readonly StreamEntry[],
  { count, before }: EventQuery
): LogPosition | undefined {
  const next = nextLane(lanes)
  if (next === undefined && lanes.every(({ found }) => found.length === 0)) return undefined
  const last = entries.at(-1)
  if (last !== undefined && entries.length >= count) return formatPosition(last.partition, last.id)
  // Ended early: everything down to this id was searched in all partitions.
  return next?.reached === undefined ? before : formatPosition(0, next.reached)
}
