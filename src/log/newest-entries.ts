import type { RedisClient } from '../redis/connect.ts'
import { partitionKeys } from './keys.ts'
import { type StreamEntry, toEntry } from './read-range.ts'

export interface NewestOptions {
  readonly partitions: number
  readonly count: number
  readonly from: string
  readonly to: string
  readonly isMeant: (entry: StreamEntry) => boolean
}

const PAGE_ENTRIES = 500

/**
 * The newest entries of the log that are meant, oldest first, over all partitions.
 *
 * @returns them, and for each partition the last id that was there: to go on from
 * @throws what Redis answers
 */
export async function newestEntries(
  redis: RedisClient,
  keyPrefix: string,
  { partitions, count, from, to, isMeant }: NewestOptions
): Promise<{ readonly entries: readonly StreamEntry[]; readonly ends: string[] }> {
  const ends: string[] = []
  const found: StreamEntry[] = []
  for (let partition = 0; partition < partitions; partition++) {
    const key = partitionKeys(keyPrefix, partition).events
    const [newest] = await redis.xrevrange(key, '+', '-', 'COUNT', 1)
    ends.push(newest?.[0] ?? '0-0')
    let missing = count
    for (let end = to; missing > 0; ) {
      const page = await redis.xrevrange(key, end, from, 'COUNT', PAGE_ENTRIES)
      const meant = page.map(([id, fields]) => toEntry(partition, id, fields)).filter(isMeant)
      found.push(...meant.slice(0, missing))
      missing -= meant.length
      const last = page.at(-1)?.[0]
      if (last === undefined || page.length < PAGE_ENTRIES) break
      end = `(${last}`
    }
  }
  found.sort((a, b) => compareIds(a.id, b.id))
  return { entries: found.slice(-count), ends }
}

function compareIds(a: string, b: string): number {
  const [aMs = 0, aSequence = 0] = a.split('-').map(Number)
  const [bMs = 0, bSequence = 0] = b.split('-').map(Number)
  return aMs - bMs || aSequence - bSequence
}
