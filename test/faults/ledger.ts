import { createHash } from 'node:crypto'
import type { Random } from '../helpers/random.ts'

/** An event that a sender has sent. */
export interface SentEvent {
  readonly id: string
  /** Events of one customer are sent one after the other. */
  readonly customer: string
  /** Position among its sender's events. */
  readonly sequence: number
  /** Created on each call: the bodies of a run can exceed the memory. */
  readonly body: () => string
  /** Of the expected CloudEvent; calculated without code of the service. */
  readonly fingerprint: string
  /** Deliveries so far, with or without a response. */
  attempts: number
  /** Time of the first 2xx, from `performance.now()`: from then on the event must be in the log. */
  acknowledgedAtMs: number | undefined
  /** Start of the delivery that got this 2xx: the event was appended between the two times. */
  deliveredAtMs: number
  /** Sent again after it was acknowledged. */
  replayed: boolean
}

/** Events sent and responses received by all senders of a run. */
export interface Ledger {
  readonly events: Map<string, SentEvent>
  acknowledged: number
  deliveries: number
  /** Repeated deliveries of events that were not acknowledged yet. */
  retried: number
  /** Retries answered with `duplicate`: the event was appended, but the first response was lost. */
  duplicates: number
  replays: number
  readonly answers: Map<string, number>
  /** Answers other than 2xx, with their bodies: a balancer's 503 has another one than the service's. */
  readonly refusals: Map<string, number>
  slowestAnswerMs: number
  /** Time of the last 2xx. */
  lastAcknowledgedMs: number
  /** The longest time without any 2xx. */
  longestOutageMs: number
}

export function createLedger(): Ledger {
  return {
    events: new Map(),
    acknowledged: 0,
    deliveries: 0,
    retried: 0,
    duplicates: 0,
    replays: 0,
    answers: new Map(),
    refusals: new Map(),
    slowestAnswerMs: 0,
    lastAcknowledgedMs: performance.now(),
    longestOutageMs: 0
  }
}

export const count = (tally: Map<string, number>, name: string): void => {
  tally.set(name, (tally.get(name) ?? 0) + 1)
}

/**
 * An event in Customer.io's format that contains personal data, and the fingerprint of the expected CloudEvent.
 *
 * @param padding text that makes the event larger
 */
export function newEvent(sender: string, sequence: number, random: Random, padding = ''): SentEvent {
  const id = `${sender}-${sequence}`
  const customer = `customer-${sender}-${random.word(1)}`
  const address = `${random.word(8)}@example.com`
  const timestamp = 1_795_510_800 + sequence
  const known = { campaign_id: sequence % 100, note: random.word(40) + padding }
  const envelope = { event_id: id, object_type: 'email', metric: 'opened', timestamp }
  const subject = `Dear ${random.word(6)}`
  const body = (): string =>
    JSON.stringify({ ...envelope, data: { customer_id: customer, recipient: address, subject, ...known } })
  const data = {
    customer_id: customer,
    recipient_hash: createHash('sha256').update(address).digest('hex'),
    subject: '[REDACTED]',
    ...known
  }
  const expected = {
    specversion: '1.0',
    id,
    source: '/customerio/default',
    type: 'io.customer.email.opened',
    subject: customer,
    time: new Date(timestamp * 1000).toISOString(),
    datacontenttype: 'application/json',
    data: { ...envelope, data }
  }
  const fingerprint = fingerprintOf(expected)
  return {
    id,
    customer,
    sequence,
    body,
    fingerprint,
    attempts: 0,
    acknowledgedAtMs: undefined,
    deliveredAtMs: 0,
    replayed: false
  }
}

/** Digest of a CloudEvent without `receivedtime`, independent of the order of its keys. */
export function fingerprintOf({ receivedtime: _, ...event }: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(canonical(event)).digest('base64url').slice(0, 20)
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner
  )
}
