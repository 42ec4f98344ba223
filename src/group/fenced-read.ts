import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'

/** An entry of the log as a group's member got it. */
export interface ReadEntry {
  readonly partition: number
  /** The stream's id, `<unix milliseconds>-<sequence>`. */
  readonly id: string
  /** CloudEvents type; '' in an entry that is not one of ours. */
  readonly type: string
  /** The CloudEvent as JSON text; '' in an entry that is not one of ours. */
  readonly event: string
  /**
   * 0 for a new entry. Else somebody had it before and did not acknowledge it, and this is the count Redis keeps:
   * how often it was handed out, unless a member set it to what it knew better.
   */
  readonly deliveryCount: number
  /** All fields and values in turn, as they are in the stream. */
  readonly fields: readonly string[]
}

/** What one call brought: see take.lua. */
export type FencedReadResult =
  | { readonly state: 'lost' }
  | { readonly state: 'again' }
  | {
      readonly state: 'left' | 'new'
      readonly mark: string
      readonly gone: number
      readonly entries: readonly ReadEntry[]
    }

export interface FencedReadOptions {
  readonly redis: RedisClient
  readonly lease: { readonly key: string; readonly token: string }
  readonly stream: string
  readonly putBackKey: string
  readonly partition: number
  readonly group: string
}

/**
 * The one name in the group, for whoever holds a partition: names of their own, made anew at each start, would
 * pile up in Redis. Who it is at the moment is what the lease says.
 */
export const HOLDER = 'holder'

const takeScript = loadScript(new URL('fenced-read.lua', import.meta.url))

/**
 * @param after take what was left unacknowledged after this id; `undefined`: what is new
 * @throws what Redis answers; then entries may have been handed out that nobody got: they are among those left
 */
export async function fencedRead(
  options: FencedReadOptions,
  count: number,
  after: string | undefined
): Promise<FencedReadResult> {
  const { redis, lease, stream, partition, group } = options
  const reply = (await runScript(
    redis,
    takeScript,
    [lease.key, stream, options.putBackKey],
    [lease.token, group, HOLDER, count, after ?? '']
  )) as ['lost'] | ['again'] | ['left' | 'new', string, number, [string, string[], number][]]
  if (reply[0] === 'lost' || reply[0] === 'again') return { state: reply[0] }
  const [state, mark, gone, entries] = reply
  return {
    state,
    mark,
    gone,
    entries: entries.map(([id, fields, deliveryCount]) => ({
      partition,
      id,
      type: field(fields, 'type'),
      event: field(fields, 'event'),
      deliveryCount,
      fields
    }))
  }
}

/** Sets the count of deliveries that Redis keeps for entries this member has. @throws what Redis answers */
export async function setDeliveryCount(
  { redis, stream, group }: FencedReadOptions,
  entries: readonly ReadEntry[],
  count: number
): Promise<void> {
  if (entries.length === 0) return
  const ids = entries.map(({ id }) => id)
  await redis.call('XCLAIM', stream, group, HOLDER, 0, ...ids, 'RETRYCOUNT', count, 'JUSTID')
}

function field(fields: readonly string[], name: string): string {
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] === name) return fields[index + 1] ?? ''
  }
  return ''
}
