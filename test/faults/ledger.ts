import { createHash } from 'node:crypto'
import type { Random } from './random.ts'

/** One event a sender has sent, and what is known of it from outside the service. */
export interface SentEvent {
  readonly id: string
  /** Events of one customer are sent one after the other. */
  readonly customer: string
  /** Position among its sender's events. */
  readonly sequence: number
  /** Made anew each time: a run can have more of them than memory. */
  readonly body: () => string
  /** Of the CloudEvent that has to come out; told without the service's own code. */
  readonly fingerprint: string
  /** Deliveries of it so far, answered or not. */
  attempts: number
  /** When it was first answered with 2xx, by `performance.now()`: from then on it is an obligation. */
  acknowledgedAtMs: number | undefined
  /** When the delivery that was answered so began: at some time between the two it was kept. */
  deliveredAtMs: number
  /** Sent again after it was acknowledged. */
  replayed: boolean
}

/** All that the senders of a run know: the events, the answers, and what went against the laws. */
export interface Ledger {
  readonly events: Map<string, SentEvent>
  /** Events acknowledged so far. */
  acknowledged: number
  deliveries: number
  /** Deliveries of an event after its first, until it was acknowledged. */
  retried: number
  /** 2xx answers that said `duplicate` to a retry: the first delivery had been kept, its answer was lost. */
  duplicates: number
  replays: number
  readonly answers: Map<string, number>
  slowestAnswerMs: number
  /** When the last 2xx came. */
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
    slowestAnswerMs: 0,
    lastAcknowledgedMs: performance.now(),
    longestOutageMs: 0
  }
}

export const count = (tally: Map<string, number>, name: string): void => {
  tally.set(name, (tally.get(name) ?? 0) + 1)
}

/**
 * A new event in Customer.io's shape, with personal data in it, and what has to become of it.
 *
 * @param padding text that makes it larger
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

/** The same for two CloudEvents that say the same; when it was received is the service's to say. */
export function fingerprintOf({ receivedtime: _, ...event }: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(canonical(event)).digest('base64url').slice(0, 20)
}

/** JSON whose keys are in order. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner
  )
}
