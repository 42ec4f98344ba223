import { allPartitionKeys } from '../../log/partition.ts'
import { pagesOf } from '../../log/read-range.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { readAgain } from '../../redis/read-again.ts'
import type { Search } from './finding.ts'
import { scanBuffer } from './stream-scanner.ts'

/** An event can have 8 MiB. So pages are limited by bytes, which their average entry predicts, and the first is small. */
const PAGE_BYTES = 4 * 1024 * 1024
const FIRST_PAGE_ENTRIES = 16
const MAX_PAGE_ENTRIES = 2000

/**
 * Searches the events and parked deliveries of all partitions, as they are stored in Redis. Entries that are appended
 * after the search of their stream began are left out.
 *
 * @returns a description of what was searched
 * @throws the error of Redis
 */
export async function searchEventLog(
  search: Search,
  log: { readonly redis: RedisClient; readonly keyPrefix: string; readonly partitions: number }
): Promise<string> {
  const streams = allPartitionKeys(log.keyPrefix, log.partitions).flatMap(({ events, parked }) => [
    events,
    parked
  ])
  let entries = 0
  for (const [index, stream] of streams.entries()) {
    entries += await searchStream(search, log.redis, stream, share =>
      search.onProgress('event log', (index + share) / streams.length)
    )
  }
  return `${entries} ${entries === 1 ? 'entry' : 'entries'} of ${streams.join(', ')}`
}

/** @returns the number of entries */
async function searchStream(
  { detector, findings }: Search,
  redis: RedisClient,
  stream: string,
  onProgress: (share: number) => void
): Promise<number> {
  const length = await readAgain(redis, () => redis.xlen(stream))
  const [newest] = await readAgain(redis, () => redis.xrevrange(stream, '+', '-', 'COUNT', 1))
  if (newest === undefined) return 0
  let count = FIRST_PAGE_ENTRIES
  let done = 0
  const pages = pagesOf('-', start =>
    readAgain(redis, () => redis.xrangeBuffer(stream, start, newest[0], 'COUNT', count))
  )
  for await (const page of pages) {
    let bytes = 0
    for (const [id, fields] of page) {
      for (const field of fields) {
        bytes += field.length
        scanBuffer(detector, field, ({ leak }) =>
          findings.add({ leak, place: 'stream', file: stream, line: 1, entry: id.toString() })
        )
      }
    }
    done += page.length
    onProgress(Math.min(1, done / Math.max(1, length)))
    count = Math.max(1, Math.min(MAX_PAGE_ENTRIES, Math.floor((PAGE_BYTES * page.length) / bytes)))
  }
  return done
}
