import type { RedisClient } from '../redis/connect.ts'
import { partitionKeys } from './keys.ts'

/** An entry of a stream of the log, events or parked. */
export interface StreamEntry {
  readonly partition: number
  readonly id: string
  /** CloudEvents type. */
  readonly type: string
  /** The CloudEvent as JSON text. */
  readonly event: string
}

export type StreamName = 'events' | 'parked'

const PAGE_ENTRIES: Readonly<Record<StreamName, number>> = {
  events: 500,
  // Each can have 7 MiB.
  parked: 8
}

/**
 * The entries of one partition, oldest first, page by page.
 *
 * @param from first id, or its milliseconds alone; `-` for the oldest
 * @param to last id, or its milliseconds alone; `+` for the newest
 * @throws what Redis answers
 */
export async function* readEntries(
  redis: RedisClient,
  keyPrefix: string,
  { stream, partition, from, to }: { stream: StreamName; partition: number; from: string; to: string }
): AsyncGenerator<readonly StreamEntry[]> {
  const key = partitionKeys(keyPrefix, partition)[stream]
  for (let start = from; ; ) {
    const page = await redis.xrange(key, start, to, 'COUNT', PAGE_ENTRIES[stream])
    if (page.length > 0) yield page.map(([id, fields]) => toEntry(partition, id, fields))
    const last = page.at(-1)?.[0]
    if (last === undefined || page.length < PAGE_ENTRIES[stream]) return
    start = `(${last}`
  }
}

export function toEntry(partition: number, id: string, flat: readonly string[]): StreamEntry {
  const fields = new Map<string | undefined, string>()
  for (let index = 0; index < flat.length; index += 2) fields.set(flat[index], flat[index + 1] ?? '')
  return { partition, id, type: fields.get('type') ?? '', event: fields.get('event') ?? '' }
}
