import type { RedisClient } from '../../src/redis/connect.ts'
import { fingerprintOf, type Ledger } from './ledger.ts'

/** Delivered from here on up to there, an event may be gone: data was wiped, or a disk lost what it had not written. */
export interface VoidSpan {
  readonly fromMs: number
  readonly toMs: number
}

export interface Verdict {
  readonly obligations: number
  readonly entries: number
  /** Acknowledged to the sender, and neither in the log nor trimmed after the consumer had it. */
  readonly lost: number
  /** Of those, not excused by a void span. */
  readonly lostUnexcused: number
  readonly doubled: number
  readonly wrongContent: number
  /** In the log and never sent. */
  readonly foreign: number
  /** Two events of one customer in another order than they were sent in. */
  readonly outOfOrder: number
  /** In the log and not seen by the consumer. */
  readonly unread: number
  /** The longest time between an acknowledgement that did not hold and the end of the span that excuses it. */
  readonly oldestLostMs: number
  /** Up to three ids of each kind, to look for in a log. */
  readonly examples: Readonly<Record<string, readonly string[]>>
}

/** An entry of the log, as much of it as is judged. */
export interface JudgedEntry {
  readonly stream: string
  /** The stream's id. */
  readonly entryId: string
  readonly eventId: string
  readonly fingerprint: string
}

/** What the consumer took out of the log before it acknowledged it. */
export interface TakenEntry extends JudgedEntry {
  readonly takenAtMs: number
}

const PAGE = 100

export function judged(stream: string, entryId: string, fields: readonly string[]): JudgedEntry {
  const content = parse(fields[fields.indexOf('event') + 1] ?? '')
  return { stream, entryId, eventId: String(content['id']), fingerprint: fingerprintOf(content) }
}

/**
 * Everything that was kept, oldest first: what is in these streams, and what the consumer took before it was trimmed.
 *
 * An entry that the consumer had and that is gone was trimmed only if Redis says that as many were removed. Otherwise
 * it was lost, and so was whatever was taken before the end of a void span.
 */
export async function readStreams(
  client: RedisClient,
  streams: readonly string[],
  taken: Iterable<TakenEntry>,
  voids: readonly VoidSpan[]
): Promise<JudgedEntry[]> {
  const valid = [...taken].filter(({ takenAtMs }) => voids.every(({ toMs }) => takenAtMs > toMs))
  const all: JudgedEntry[] = []
  for (const stream of streams) {
    const removed = await removedFrom(client, stream)
    const entries = new Map<string, JudgedEntry>()
    for (let from = '-'; ; ) {
      const page = await client.xrange(stream, from, '+', 'COUNT', PAGE)
      for (const [id, fields] of page) entries.set(id, judged(stream, id, fields))
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE) break
      from = `(${last[0]}`
    }
    const gone = valid.filter(entry => entry.stream === stream && !entries.has(entry.entryId))
    const trimmed = gone.length <= removed ? gone : []
    all.push(...trimmed.sort((a, b) => compareIds(a.entryId, b.entryId)), ...entries.values())
  }
  return all
}

/** How many entries were removed from a stream since it was made. */
async function removedFrom(client: RedisClient, stream: string): Promise<number> {
  if ((await client.exists(stream)) === 0) return 0
  const flat = (await client.xinfo('STREAM', stream)) as unknown[]
  const field = (name: string): number => Number(flat[flat.indexOf(name) + 1])
  return field('entries-added') - field('length')
}

function compareIds(a: string, b: string): number {
  const [aMs = 0, aSequence = 0] = a.split('-').map(Number)
  const [bMs = 0, bSequence = 0] = b.split('-').map(Number)
  return aMs - bMs || aSequence - bSequence
}

/** Holds what was kept against what the senders were promised. */
export function judge(
  ledger: Ledger,
  entries: readonly JudgedEntry[],
  seenByConsumer: ReadonlySet<string>,
  voids: readonly VoidSpan[]
): Verdict {
  const times = new Map<string, number>()
  const found = new Map<string, string[]>()
  const note = (kind: string, id: string): void => {
    const ids = found.get(kind) ?? []
    ids.push(id)
    found.set(kind, ids)
  }
  const latest = new Map<string, number>()
  for (const { eventId: id, fingerprint } of entries) {
    const sent = ledger.events.get(id)
    const before = times.get(id) ?? 0
    times.set(id, before + 1)
    if (sent === undefined) {
      note('foreign', id)
      continue
    }
    if (before === 1) note('doubled', id)
    if (fingerprint !== sent.fingerprint) note('wrongContent', id)
    if (sent.replayed || before > 0) continue
    if ((latest.get(sent.customer) ?? -1) > sent.sequence) note('outOfOrder', id)
    latest.set(sent.customer, sent.sequence)
  }

  let obligations = 0
  let oldestLostMs = 0
  for (const { id, acknowledgedAtMs, deliveredAtMs } of ledger.events.values()) {
    if (acknowledgedAtMs === undefined) continue
    obligations++
    if (times.has(id)) continue
    const excuse = voids.find(({ fromMs, toMs }) => deliveredAtMs >= fromMs && deliveredAtMs <= toMs)
    note('lost', id)
    if (excuse === undefined) note('lostUnexcused', id)
    else oldestLostMs = Math.max(oldestLostMs, excuse.toMs - acknowledgedAtMs)
  }
  for (const id of times.keys()) if (!seenByConsumer.has(id)) note('unread', id)

  const number = (kind: string): number => found.get(kind)?.length ?? 0
  return {
    obligations,
    entries: entries.length,
    lost: number('lost'),
    lostUnexcused: number('lostUnexcused'),
    doubled: number('doubled'),
    wrongContent: number('wrongContent'),
    foreign: number('foreign'),
    outOfOrder: number('outOfOrder'),
    unread: number('unread'),
    oldestLostMs: Math.round(oldestLostMs),
    examples: Object.fromEntries([...found].map(([kind, ids]) => [kind, ids.slice(0, 3)]))
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {}
  return { id: `unreadable: ${text.slice(0, 40)}` }
}
