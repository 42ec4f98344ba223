// Tested by test/receive/payloads.test.ts and test/receive/parked.test.ts.
import { hash } from 'node:crypto'
import { DOCTOR_TYPE, eventName, eventType } from '../event-types.ts'
import { isLosslessNumber, stringifyExactly } from '../exact-json.ts'
import { pathOf, valueAt } from '../json-pointer.ts'
import type { LogEntry, ParkedReason } from '../log/log-entry.ts'
import { REDACTED } from '../sanitize/redacted.ts'
import type { Source } from '../settings/sources.ts'
import type { EventTrace } from '../trace-context.ts'
import { cloudEvent } from './cloud-event.ts'
import { type EventId, eventId, type IdContext, parkedId } from './event-id.ts'
import { eventTimeMs } from './event-time.ts'
import { PARKED_TYPE, parkedData } from './parked.ts'
import { type Payload, readPayload, type Unreadable } from './payload.ts'
import type { VerifiedBody } from './signature.ts'

/** What is known about a delivery besides its body. */
export interface DeliveryContext extends IdContext {
  readonly source: Source
  readonly receivedAtMs: number
  /**
   * Sent by `cio-webhook doctor`, which also sends bodies that are not events. These would be parked, and parked
   * deliveries raise an alert: they are logged as an event of the doctor instead, without their body.
   */
  readonly fromDoctor: boolean
}

/** A delivery that is parsed and has an id. The expensive part, sanitizing, comes later. */
export interface ParsedDelivery extends EventId {
  readonly type: string
  readonly parked: ParkedReason | undefined
  readonly happenedAtMs: number | undefined
  readonly payload: Payload | Unreadable
  readonly body: VerifiedBody
  readonly context: DeliveryContext
}

const CUSTOMER_ID = pathOf('/data/customer_id')
const DELIVERY_ID = pathOf('/data/delivery_id')
const IDENTIFIED_BY = pathOf('/data/identifiers/id')
const USER_ID = pathOf('/userId')

/** Ids of Customer.io have at most 150 characters. A longer one is replaced by its hash. */
export const MAX_SUBJECT_LENGTH = 256

/** Never throws. */
export function parseDelivery(body: VerifiedBody, context: DeliveryContext): ParsedDelivery {
  const payload = readPayload(body)
  if ('reason' in payload) {
    return {
      ...parkedId(body, context),
      type: context.fromDoctor ? DOCTOR_TYPE : PARKED_TYPE,
      parked: context.fromDoctor ? undefined : payload.reason,
      happenedAtMs: undefined,
      payload,
      body,
      context
    }
  }
  const { value } = payload
  return {
    ...eventId(value, body, context, context.source.sanitizer),
    type: eventType(value),
    parked: undefined,
    happenedAtMs: eventTimeMs(value['timestamp']),
    payload,
    body,
    context
  }
}

/**
 * What the log keeps of a delivery: a sanitized event, or a sealed body if it cannot be parsed. Never throws.
 *
 * @param trace the trace that records it; its consumers continue it
 */
export function toLogEntry(delivery: ParsedDelivery, trace?: EventTrace): LogEntry {
  const { id, digest, type, parked, happenedAtMs, payload, body, context } = delivery
  const { source, receivedAtMs } = context
  let subject: string | undefined
  let data: string
  let messageId: unknown
  if ('reason' in payload) {
    const { reason } = payload
    data = JSON.stringify(parked === undefined ? { reason } : parkedData(delivery, payload, body, source))
  } else {
    const clean = source.sanitizer.value(payload.value, { event: eventName(type), bodyBytes: body.length })
    subject = subjectOf(clean, source)
    messageId = valueAt(payload.value, DELIVERY_ID)
    data = payload.isLossless ? stringifyExactly(clean) : JSON.stringify(clean)
  }
  return {
    stream: parked === undefined ? 'events' : 'parked',
    id,
    digest,
    type,
    parked,
    partitionKey: subject ?? id,
    happenedAtMs,
    messageId: typeof messageId === 'string' && messageId !== '' ? messageId : undefined,
    backfilled: false,
    event: cloudEvent({ id, type, source: source.name, subject, happenedAtMs, receivedAtMs, trace }, data)
  }
}

/**
 * The partition key of the delivery's entry, without sanitizing all of it: only the fields that the subject is read from.
 * It can only differ from the entry's if a policy file makes one field depend on another.
 */
export function partitionKeyOf({ id, type, payload, body, context }: ParsedDelivery): string {
  if ('reason' in payload) return id
  const { source } = context
  const { value } = payload
  const customerId = scalar(valueAt(value, CUSTOMER_ID))
  const identifiedBy = scalar(valueAt(value, IDENTIFIED_BY))
  const about = { event: eventName(type), bodyBytes: body.length }
  const clean = source.sanitizer.value(
    {
      data: { customer_id: customerId, identifiers: { id: identifiedBy } },
      userId: scalar(valueAt(value, USER_ID))
    },
    about
  )
  return subjectOf(clean, source) ?? id
}

const scalar = (value: unknown): unknown =>
  typeof value === 'object' && !isLosslessNumber(value) ? undefined : value

/** The person a sanitized payload is about. Data Pipelines calls the id `userId`. */
export function subjectOf(clean: unknown, { schemes }: Pick<Source, 'schemes'>): string | undefined {
  return (
    asSubject(valueAt(clean, CUSTOMER_ID)) ??
    asSubject(valueAt(clean, IDENTIFIED_BY)) ??
    (schemes.includes('cdp') ? asSubject(valueAt(clean, USER_ID)) : undefined)
  )
}

function asSubject(id: unknown): string | undefined {
  if (typeof id === 'number') return String(id)
  const text = isLosslessNumber(id) ? id.value : id
  if (typeof text !== 'string' || text.trim() === '' || text === REDACTED) return undefined
  return text.length > MAX_SUBJECT_LENGTH ? hash('sha256', text) : text
}
