// Tested by test/console/pages/events.slow.test.ts.
import type { LogPosition } from '../../../log/position.ts'
import { compareIds } from '../../../log/read-range.ts'
import { searchEvents } from '../../../tools/events/search.ts'
import { CLOCK_DIFFERENCE_MS } from '../../../tools/events/walk-log.ts'
import type { ConsoleContext } from '../../context.ts'
import type { CompiledSearch } from './query.ts'
import { type EventRow, toRow } from './row.ts'

export const PAGE_ROWS = 50
/** A search ends after so long, and can be continued. */
const BUDGET_MS = 2000
/** Only rows are kept, but until its end a search holds whole events, of up to 8 MiB. */
const MAX_BYTES = 16 * 1024 * 1024

export interface FoundRows {
  /** Newest first. */
  readonly rows: readonly EventRow[]
  readonly searched: number
  readonly oldestMs: number | undefined
  readonly newestMs: number | undefined
  /** Where the next page begins; `undefined` if everything was searched. */
  readonly older: LogPosition | undefined
}

type Log = Pick<ConsoleContext, 'redis' | 'config'>

/** One page of a search, in at most 2 s. @param signal aborts when the reader has gone */
export async function findRows(
  { redis, config }: Log,
  search: CompiledSearch,
  before: LogPosition | undefined,
  signal: AbortSignal
): Promise<FoundRows> {
  const { keyPrefix, windowMs } = config.log
  const log = { redis, keyPrefix, dedupeWindowMs: windowMs }
  const query = { ...search, before, count: PAGE_ROWS }
  const { entries, ...found } = await searchEvents(log, query, {
    signal,
    budgetMs: BUDGET_MS,
    maxBytes: MAX_BYTES
  })
  return { ...found, rows: entries.map(toRow) }
}

/**
 * Reads a page again and again: after the first time, only what is new is searched.
 *
 * @returns the rows of the page as they are now
 */
export function followRows(log: Log, search: CompiledSearch, signal: AbortSignal): () => Promise<FoundRows> {
  let page: FoundRows | undefined
  return async () => {
    if (page === undefined) page = await findRows(log, search, undefined, signal)
    else page = merge(page, await findRows(log, newerThan(page), undefined, signal))
    return page
  }

  function newerThan({ newestMs }: FoundRows): CompiledSearch {
    // A new event can have a slightly older time than the newest one.
    return newestMs === undefined ? search : { ...search, fromMs: newestMs - CLOCK_DIFFERENCE_MS }
  }
}

function merge(page: FoundRows, found: FoundRows): FoundRows {
  const all = new Map([...page.rows, ...found.rows].map(row => [row.position, row]))
  const sorted = [...all.values()].sort(
    (a, b) => compareIds(b.entryId, a.entryId) || b.partition - a.partition
  )
  const rows = sorted.slice(0, PAGE_ROWS)
  return {
    rows,
    searched: page.searched,
    oldestMs: page.oldestMs ?? found.oldestMs,
    newestMs: found.newestMs ?? page.newestMs,
    older: sorted.length > rows.length ? rows.at(-1)?.position : page.older
  }
}
