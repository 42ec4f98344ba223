import type { Cluster, Redis } from 'ioredis'
import { partitionKeys } from '../../log/keys.ts'
import type { Search } from './search.ts'
import { createStreamScanner } from './stream-scanner.ts'

export interface EventLogPlace {
  readonly redis: Redis | Cluster
  readonly keyPrefix: string
  readonly partitions: number
}

type Entry = [Buffer, Buffer[]]

/** What one page is meant to weigh. An event may have 5 MiB, so the first page is a small one. */
const PAGE_BYTES = 4 * 1024 * 1024
const FIRST_PAGE_ENTRIES = 16
const MAX_PAGE_ENTRIES = 2000

/**
 * Looks through the log of events and the parked deliveries, entry by entry, as they are in Redis. What is appended
 * meanwhile is looked through as far as it was there when its stream's turn came.
 *
 * @throws what Redis answers
 */
export async function searchEventLog(search: Search, place: EventLogPlace): Promise<string> {
  const { redis, keyPrefix, partitions } = place
  const streams = Array.from({ length: partitions }, (_, partition) =>
    partitionKeys(keyPrefix, partition)
  ).flatMap(({ events, parked }) => [events, parked])
  let entries = 0
  for (const [index, stream] of streams.entries()) {
    entries += await searchStream(search, redis, stream, share =>
      search.onProgress('event log', (index + share) / streams.length)
    )
  }
  return `${entries} ${entries === 1 ? 'entry' : 'entries'} of ${streams.join(', ')}`
}

async function searchStream(
  { detector, findings }: Search,
  redis: Redis | Cluster,
  stream: string,
  onProgress: (share: number) => void
): Promise<number> {
  const length = await redis.xlen(stream)
  const last = (await redis.xrevrange(stream, '+', '-', 'COUNT', 1))[0]?.[0]
  if (last === undefined) return 0
  let from = '-'
  let count = FIRST_PAGE_ENTRIES
  let done = 0
  for (;;) {
    const page = (await redis.xrangeBuffer(stream, from, last, 'COUNT', count)) as Entry[]
    let bytes = 0
    for (const [id, fields] of page) {
      done++
      for (const field of fields) {
        bytes += field.length
        const scan = createStreamScanner(detector, ({ leak }) =>
          findings.add({ leak, place: 'stream', file: stream, line: 1, entry: id.toString() })
        )
        scan.push(field)
        scan.end()
      }
    }
    onProgress(Math.min(1, done / Math.max(1, length)))
    const end = page.at(-1)
    if (end === undefined || page.length < count) return done
    from = `(${end[0].toString()}`
    const average = Math.max(1, bytes / page.length)
    count = Math.max(1, Math.min(MAX_PAGE_ENTRIES, Math.floor(PAGE_BYTES / average)))
  }
}
