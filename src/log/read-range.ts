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
