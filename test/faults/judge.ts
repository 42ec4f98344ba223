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
  /** Acknowledged and not in the log. */
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

export interface LogEntryText {
  readonly stream: string
  readonly event: string
}

const PAGE = 1000

/** Everything in these streams, oldest first. */
export async function readStreams(client: RedisClient, streams: readonly string[]): Promise<LogEntryText[]> {
  const entries: LogEntryText[] = []
  for (const stream of streams) {
    for (let from = '-'; ; ) {
      const page = await client.xrange(stream, from, '+', 'COUNT', PAGE)
      for (const [, fields] of page) {
        entries.push({ stream, event: fields[fields.indexOf('event') + 1] ?? '' })
      }
      const last = page.at(-1)
      if (last === undefined || page.length < PAGE) break
      from = `(${last[0]}`
    }
  }
  return entries
}

/** Holds what is in the log against what the senders were promised. */
export function judge(
  ledger: Ledger,
  entries: readonly LogEntryText[],
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
  for (const { event } of entries) {
    const content = parse(event)
    const id = String(content['id'])
    const sent = ledger.events.get(id)
    const before = times.get(id) ?? 0
    times.set(id, before + 1)
    if (sent === undefined) {
      note('foreign', id)
      continue
    }
    if (before === 1) note('doubled', id)
    if (fingerprintOf(content) !== sent.fingerprint) note('wrongContent', id)
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
