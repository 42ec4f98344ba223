import { parseCloudEvent } from '../../group/cloud-event.ts'
import { entryTimeMs, formatPosition } from '../../log/position.ts'
import type { StreamEntry } from '../../log/read-range.ts'
import { findIds, type TimeRange } from './id-index.ts'
import {
  type EventQuery,
  type FoundEvents,
  type SearchedLog,
  type SearchOptions,
  walkLog
} from './walk-log.ts'

/** Ids of Customer.io are ULIDs (https://github.com/ulid/spec): they start with a time of 48 bits, unix milliseconds. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i
const ULID_DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const ULID_TIME_LENGTH = 10

/** Nearly every event is appended so soon after its id was made. The clocks may differ. */
const EARLY_MS = 60_000
const LATE_MS = 15 * 60_000
/** Ids that are further apart are searched everywhere at once. */
const MAX_SPREAD_MS = 60 * 60_000

/**
 * Finds events in the log, newest first over all partitions. Redis filters, in steps of about 1 ms, and returns only
 * what may match. With `customers`, only their partitions are read. With `ids`, only where the dedupe index says that
 * they can be. Ids that are ULIDs are searched around their time first; if all are found there, only where they can be a
 * second time: `dedupeWindowMs` before and after.
 *
 * @throws TypeError for a type that cannot match anything, and the error of Redis
 */
export async function searchEvents(
  log: SearchedLog & {
    /** How long event ids are remembered: within this time, no id is appended twice. */
    readonly dedupeWindowMs: number
  },
  query: EventQuery,
  options: SearchOptions = {}
): Promise<FoundEvents> {
  const ids = query.ids === undefined ? undefined : await findIds(log.redis, log.keyPrefix, query.ids)
  const walk = (part: EventQuery): Promise<FoundEvents> => walkLog(log, part, options, ids)
  const around = query.before === undefined ? likelyTime(query.ids ?? []) : undefined
  if (around === undefined || ids?.size === 0) return walk(query)

  const near = await walk(within(query, around))
  const isFull = near.entries.length >= query.count
  if (!holdsAll(near.entries, query.ids ?? []) || (near.older !== undefined && !isFull)) {
    return walk(query)
  }
  const times = near.entries.map(({ id }) => entryTimeMs(id))
  const fromMs = Math.max(around.toMs + 1, Math.max(...times) + log.dedupeWindowMs)
  const toMs = Math.min(around.fromMs - 1, Math.min(...times) - log.dedupeWindowMs)
  const later = await walk(within(query, { fromMs }))
  const earlier = await walk(within(query, { toMs }))
  const all = [...later.entries, ...near.entries, ...earlier.entries]
  const entries = all.slice(0, query.count)
  const last = entries.at(-1)
  const isCut = last !== undefined && (all.length > entries.length || near.older !== undefined)
  return {
    entries,
    searched: near.searched + later.searched + earlier.searched,
    oldestMs: earlier.oldestMs ?? near.oldestMs,
    newestMs: later.newestMs ?? near.newestMs,
    older: isCut ? formatPosition(last.partition, last.id) : earlier.older,
    isIndexed: ids !== undefined
  }
}

/** The query for a part of its time range. */
const within = (
  query: EventQuery,
  { fromMs = 0, toMs = Number.MAX_SAFE_INTEGER }: Partial<TimeRange>
): EventQuery => ({
  ...query,
  fromMs: Math.max(0, fromMs, query.fromMs ?? 0),
  toMs: Math.max(0, Math.min(toMs, query.toMs ?? toMs))
})

/** When events with these ids were probably appended; `undefined` unless all are ULIDs of about the same time. */
function likelyTime(ids: readonly string[]): TimeRange | undefined {
  if (ids.length === 0 || !ids.every(id => ULID.test(id))) return undefined
  const times = ids.map(ulidTimeMs)
  const [first, last] = [Math.min(...times), Math.max(...times)]
  return last - first > MAX_SPREAD_MS ? undefined : { fromMs: first - EARLY_MS, toMs: last + LATE_MS }
}

function ulidTimeMs(id: string): number {
  let timeMs = 0
  for (const digit of id.slice(0, ULID_TIME_LENGTH).toUpperCase())
    timeMs = timeMs * 32 + ULID_DIGITS.indexOf(digit)
  return timeMs
}

function holdsAll(entries: readonly StreamEntry[], ids: readonly string[]): boolean {
  const found = new Set(entries.map(({ event }) => parseCloudEvent(event)?.id))
  return ids.every(id => found.has(id))
}
