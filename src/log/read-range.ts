import type { RedisClient } from '../redis/connect.ts'
import { flatToMap } from '../redis/reply.ts'
import { partitionKeys } from './keys.ts'

/** An entry of a stream of the log, events or parked deliveries. */
export interface StreamEntry {
  readonly partition: number
  readonly id: string
  /** CloudEvents type. */
  readonly type: string
  /** The CloudEvent as JSON text. */
  readonly event: string
}

type StreamName = 'events' | 'parked'

/** Ids, or their milliseconds alone, both included; `-` is the oldest, `+` the newest, `(<id>` excludes the id. */
interface EntryRange {
  readonly from: string
  readonly to: string
}

const PAGE_ENTRIES: Readonly<Record<StreamName, number>> = {
  events: 500,
  // A parked delivery can have 7 MiB.
  parked: 8
}

/** The entries of one partition, oldest first, page by page. @throws the error of Redis */
export async function* readEntries(
  redis: RedisClient,
  keyPrefix: string,
  { stream, partition, from, to }: EntryRange & { stream: StreamName; partition: number }
): AsyncGenerator<readonly StreamEntry[]> {
  const key = partitionKeys(keyPrefix, partition)[stream]
  const count = PAGE_ENTRIES[stream]
  const pages = pagesOf(from, start => redis.xrange(key, start, to, 'COUNT', count))
  for await (const page of pages) yield page.map(([id, fields]) => toEntry(partition, id, fields))
}

interface NewestOptions extends EntryRange {
  readonly partitions: number
  readonly count: number
  readonly matches: (entry: StreamEntry) => boolean
}

/**
 * The newest matching events over all partitions, oldest first.
 *
 * @returns them, and the last id of each partition, to continue from
 * @throws the error of Redis
 */
export async function newestEntries(
  redis: RedisClient,
  keyPrefix: string,
  { partitions, count, from, to, matches }: NewestOptions
): Promise<{ readonly entries: readonly StreamEntry[]; readonly ends: string[] }> {
  const ends: string[] = []
  const found: StreamEntry[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const key = partitionKeys(keyPrefix, partition).events
    const [newest] = await redis.xrevrange(key, '+', '-', 'COUNT', 1)
    ends.push(newest?.[0] ?? '0-0')
    const pages = pagesOf(to, end => redis.xrevrange(key, end, from, 'COUNT', PAGE_ENTRIES.events))
    let missing = count
    for await (const page of pages) {
      const matching = page.map(([id, fields]) => toEntry(partition, id, fields)).filter(matches)
      found.push(...matching.slice(0, missing))
      missing -= matching.length
      if (missing <= 0) break
    }
  }
  found.sort((a, b) => compareIds(a.id, b.id))
  return { entries: found.slice(-count), ends }
}

/** Reads pages until one is empty. Each page starts after the last entry of the page before. */
export async function* pagesOf<Entry extends readonly [id: string | Buffer, fields: unknown]>(
  first: string,
  read: (start: string) => Promise<readonly Entry[]>
): AsyncGenerator<readonly Entry[]> {
  for (let start = first; ; ) {
    const page = await read(start)
    const last = page.at(-1)
    if (last === undefined) return
    yield page
    start = `(${last[0]}`
  }
}

function toEntry(partition: number, id: string, flat: readonly string[]): StreamEntry {
  const fields = flatToMap(flat)
  return { partition, id, type: fields.get('type') ?? '', event: fields.get('event') ?? '' }
}

/** Orders ids of entries: negative if `a` is older than `b`. */
export function compareIds(a: string, b: string): number {
  const [aMs = 0, aSequence = 0] = a.split('-').map(Number)
  const [bMs = 0, bSequence = 0] = b.split('-').map(Number)
  return aMs - bMs || aSequence - bSequence
}
