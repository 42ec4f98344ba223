import type { RedisClient } from '../redis/connect.ts'
import { flatToMap } from '../redis/reply.ts'
import { loadScript, runScript } from '../redis/script.ts'

/** An entry of the log, delivered to a member of a group. */
export interface ReadEntry {
  readonly partition: number
  /** The entry's id in the stream, `<unix milliseconds>-<sequence>`. */
  readonly id: string
  /** CloudEvents type; '' if the entry has none. */
  readonly type: string
  /** The CloudEvent as JSON text; '' if the entry has none. */
  readonly event: string
  /**
   * 0 for a new entry, and for one that counts as new: Redis counts this delivery. Otherwise it was delivered before and
   * not acknowledged. This is the count that Redis keeps: its deliveries, unless a member has set it to the number of
   * attempts.
   */
  readonly deliveryCount: number
  /** All fields and values in turn, as in the stream. */
  readonly fields: readonly string[]
}

/** The result of one call: see fenced-read.lua. */
type FencedReadResult =
  | { readonly state: 'lease_lost' }
  | { readonly state: 'pending_changed' }
  | {
      readonly state: 'pending' | 'new'
      readonly cursor: string
      readonly deletedCount: number
      readonly entries: readonly ReadEntry[]
    }

/** `newAfter`: the newest entry that the reader has got. If a later one is pending, the state is `pending_changed`. */
type ReadFrom = { readonly pendingAfter: string } | { readonly newAfter: string }

export interface FencedReadOptions {
  readonly redis: RedisClient
  readonly lease: { readonly key: string; readonly token: string }
  readonly stream: string
  readonly redeliverKey: string
  readonly partition: number
  readonly group: string
}

/**
 * All members use this one consumer name in the group. A name per process would leave one more name in Redis with each
 * start. The lease says which member is active.
 */
export const CONSUMER_NAME = 'cio-webhook'
/** With the names of version 0.1, which stay in its groups. Their pending entries are read too. */
export const runtimeConsumerNames: ReadonlySet<string> = new Set([CONSUMER_NAME, 'holder', 'put-back'])

/**
 * Once a call has read so much, it reads no more: two hundred entries of 8 MiB, the largest, would end the process. The
 * last ones may exceed it: a pending one, or up to 16 new ones. A batch of usual events, of about 1 KB, has less.
 */
const MAX_READ_BYTES = 1024 * 1024

const fencedReadScript = loadScript(new URL('fenced-read.lua', import.meta.url))

/**
 * @param count how many entries at most. There are fewer if they are large
 * @param from the id of an entry; `0-0`: none
 * @throws the error of Redis. Entries may have been delivered by the failed call: they are pending then
 */
export async function fencedRead(
  { redis, lease, stream, redeliverKey, partition, group }: FencedReadOptions,
  count: number,
  from: ReadFrom
): Promise<FencedReadResult> {
  const keys = [lease.key, stream, redeliverKey]
  const start = 'newAfter' in from ? ['new', from.newAfter] : ['pending', from.pendingAfter]
  const args = [lease.token, group, CONSUMER_NAME, count, ...start, MAX_READ_BYTES]
  const reply = (await runScript(redis, fencedReadScript, keys, args)) as
    | ['lease_lost' | 'pending_changed']
    | ['pending' | 'new', string, number, [string, string[], number][]]
  if (reply.length === 1) return { state: reply[0] }
  const [state, cursor, deletedCount, entries] = reply
  return { state, cursor, deletedCount, entries: entries.map(toEntry) }

  function toEntry([id, fields, deliveryCount]: [string, string[], number]): ReadEntry {
    const values = flatToMap(fields)
    const [type = '', event = ''] = [values.get('type'), values.get('event')]
    return { partition, id, type, event, deliveryCount, fields }
  }
}

/** Sets the delivery count that Redis keeps for pending entries of this member. @throws the error of Redis */
export async function setDeliveryCount(
  { redis, stream, group }: FencedReadOptions,
  entries: readonly ReadEntry[],
  count: number
): Promise<void> {
  if (entries.length === 0) return
  const ids = entries.map(({ id }) => id)
  await redis.call('XCLAIM', stream, group, CONSUMER_NAME, 0, ...ids, 'RETRYCOUNT', count, 'JUSTID')
}
