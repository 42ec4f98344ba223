import type { RedisClient } from '../../src/redis/connect.ts'
import { until } from '../helpers/server.ts'
import { fingerprintOf, type Ledger } from './ledger.ts'

/** Events delivered in this time may be lost: data was wiped, or a disk lost what it had not written. */
export interface ExcusedSpan {
  readonly fromMs: number
  readonly toMs: number
}

export interface Verdict {
  readonly obligations: number
  readonly entries: number
  /** Acknowledged to the sender, but neither in the log nor trimmed after the consumer had read it. */
  readonly lost: number
  /** Lost and not excused by an `ExcusedSpan`. */
  readonly lostUnexcused: number
  /** In the log twice. */
  readonly duplicated: number
  readonly wrongContent: number
  /** In the log, but never sent. */
  readonly neverSent: number
  /** Events of one customer in another order than they were sent. */
  readonly outOfOrder: number
  /** In the log, but not read by the consumer. */
  readonly unread: number
  /** Of the lost and excused events: the longest time from the acknowledgement to the end of the span. */
  readonly oldestLostMs: number
  /** Up to three ids of each kind. */
  readonly examples: Readonly<Record<string, readonly string[]>>
}

/** The part of a log entry that is checked. */
export interface LoggedEntry {
  readonly stream: string

  readonly entryId: string
  readonly eventId: string
  readonly fingerprint: string
}

/** An entry that the consumer has read, and acknowledged afterwards. */
export interface ReadEntry extends LoggedEntry {
  readonly readAtMs: number
}

const PAGE = 100
const PATIENCE_MS = 60_000

export function loggedEntry(stream: string, entryId: string, fields: readonly string[]): LoggedEntry {
  const content = parse(fields[fields.indexOf('event') + 1] ?? '')
  return { stream, entryId, eventId: String(content['id']), fingerprint: fingerprintOf(content) }
}

/**
 * All entries of these streams, oldest first, including those that were trimmed after the consumer had read them.
 *
 * A read entry that is missing counts as trimmed only if Redis has removed at least as many; otherwise it is lost. So
 * is an entry that was read before the end of an excused span and is missing.
 */
export async function readStreams(
  client: RedisClient,
  streams: readonly string[],
  read: Iterable<ReadEntry>,
  excused: readonly ExcusedSpan[]
): Promise<LoggedEntry[]> {
  const valid = [...read].filter(({ readAtMs }) => excused.every(({ toMs }) => readAtMs > toMs))
  const all: LoggedEntry[] = []
  for (const stream of streams) {
    const { removed, entries } = await readStream(client, stream)
    const missing = valid.filter(entry => entry.stream === stream && !entries.has(entry.entryId))
    const trimmed = missing.length <= removed ? missing : []
    all.push(...trimmed.sort((a, b) => compareIds(a.entryId, b.entryId)), ...entries.values())
  }
  return all
}

/** The entries of a stream by id, and how many were removed before: both of one moment. */
async function readStream(client: RedisClient, stream: string) {
  const entries = new Map<string, LoggedEntry>()
  let removed = 0
  const readUnchanged = async (): Promise<boolean> => {
    entries.clear()
    removed = await removedFrom(client, stream)
    for (let from = '-'; ; ) {
      const page = await client.xrange(stream, from, '+', 'COUNT', PAGE)
      for (const [id, fields] of page) entries.set(id, loggedEntry(stream, id, fields))
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE) break
      from = `(${last[0]}`
    }
    return (await removedFrom(client, stream)) === removed
  }
  // The service may still trim: entries removed in between would be missing, but not counted.
  await until(`${stream} is not trimmed while it is read`, readUnchanged, PATIENCE_MS)
  return { removed, entries }
}

/** Number of entries removed from a stream since it was created. */
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

/** Compares the log with the responses that the senders got. */
export function evaluate(
  ledger: Ledger,
  entries: readonly LoggedEntry[],
  readIds: ReadonlySet<string>,
  excused: readonly ExcusedSpan[]
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
      note('neverSent', id)
      continue
    }
    if (before === 1) note('duplicated', id)
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
    const excuse = excused.find(({ fromMs, toMs }) => deliveredAtMs >= fromMs && deliveredAtMs <= toMs)
    note('lost', id)
    if (excuse === undefined) note('lostUnexcused', id)
    else oldestLostMs = Math.max(oldestLostMs, excuse.toMs - acknowledgedAtMs)
  }
  for (const id of times.keys()) if (!readIds.has(id)) note('unread', id)

  const number = (kind: string): number => found.get(kind)?.length ?? 0
  return {
    obligations,
    entries: entries.length,
    lost: number('lost'),
    lostUnexcused: number('lostUnexcused'),
    duplicated: number('duplicated'),
    wrongContent: number('wrongContent'),
    neverSent: number('neverSent'),
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
