import { isUtf8 } from 'node:buffer'
import { createHash, hash } from 'node:crypto'
import { parse as parseJson } from 'secure-json-parse'
import type { Source } from '../config/sources.ts'
import type { Sanitizer } from '../sanitize/sanitize.ts'
import { cloudEvent } from './cloud-event.ts'
import { eventType } from './event-type.ts'
import { pathOf, valueAt } from './json-pointer.ts'
import type { VerifiedBody } from './signature.ts'

/** Why an authentic delivery can't be an event. It is kept all the same, in the stream of parked deliveries. */
export type ParkedReason = 'not_utf8' | 'not_json' | 'not_an_object' | 'too_deep' | 'prototype_poisoning'

/** What is appended to the log: sanitized, serialized, and all there is to know about it without reading it. */
export interface LogEntry {
  readonly stream: 'events' | 'parked'
  /** The event id as it may be shown: in the answer, the log line and the CloudEvent. */
  readonly id: string
  /** CloudEvents type. */
  readonly type: string
  /** What the event is remembered by: SHA-256 of the source and the event id as received, in base64. */
  readonly digest: string
  /** Entries with the same one stay in order. */
  readonly partitionKey: string
  /** The CloudEvent, as JSON text. */
  readonly event: string
  readonly parked: ParkedReason | undefined
  /** When it happened, by the payload: unix milliseconds. */
  readonly happenedAtMs: number | undefined
}

/** What the delivery said besides its body. */
export interface Received {
  readonly source: Source
  /** `x-cio-timestamp`, as received. */
  readonly timestamp: string
  readonly receivedAtMs: number
}

type JsonObject = Readonly<Record<string, unknown>>

/** Customer.io's events are about 4 levels deep. */
const MAX_DEPTH = 64
const MAX_ID_LENGTH = 256
/**
 * How much of a parked delivery is kept. Scrubbing text nobody can parse takes up to 1.3 s a MiB, during which
 * this process does nothing else; a quarter MiB tells what came as well as five.
 */
const MAX_PARKED_BYTES = 256 * 1024

const CUSTOMER_ID = pathOf('/data/customer_id')
const IDENTIFIED_BY = pathOf('/data/identifiers/id')

/** Nothing that happened before 1970 or after 9999 has an RFC 3339 time. */
const MAX_UNIX_SECONDS = 253_402_300_799

/**
 * Turns an authentic body into what the log keeps: an event, or a parked delivery where it is no JSON object
 * that can safely be read. Never throws.
 */
export function readEvent(body: VerifiedBody, received: Received, sanitizer: Sanitizer): LogEntry {
  const payload = readPayload(body)
  return typeof payload === 'string'
    ? parkedEntry(payload, body, received, sanitizer)
    : eventEntry(payload, body, received, sanitizer)
}

function eventEntry(
  payload: JsonObject,
  body: VerifiedBody,
  received: Received,
  sanitizer: Sanitizer
): LogEntry {
  const { receivedAtMs } = received
  const source = received.source.name
  const named = eventId(payload, received, body)
  const digest = digestOf(named, source)
  const id = shownId(named, digest, sanitizer)
  const clean = sanitizer.value(payload)
  const type = eventType(payload)
  const subject = subjectOf(clean)
  const happenedAtMs = millisecondsOf(payload['timestamp'])
  return {
    id,
    digest,
    stream: 'events',
    type,
    parked: undefined,
    partitionKey: subject ?? id,
    happenedAtMs,
    event: cloudEvent({ id, type, source, subject, happenedAtMs, receivedAtMs }, JSON.stringify(clean))
  }
}

function parkedEntry(
  reason: ParkedReason,
  body: VerifiedBody,
  received: Received,
  sanitizer: Sanitizer
): LogEntry {
  const { receivedAtMs } = received
  const source = received.source.name
  const id = bodyId(received, body)
  const type = 'io.customer.parked'
  const text = sanitizer.text(body.toString('utf8', 0, MAX_PARKED_BYTES))
  const data = JSON.stringify({ reason, text, bytes: body.length, truncated: body.length > MAX_PARKED_BYTES })
  return {
    id,
    digest: digestOf(id, source),
    stream: 'parked',
    type,
    parked: reason,
    partitionKey: id,
    happenedAtMs: undefined,
    event: cloudEvent({ id, type, source, subject: undefined, happenedAtMs: undefined, receivedAtMs }, data)
  }
}

function readPayload(body: VerifiedBody): JsonObject | ParkedReason {
  if (!isUtf8(body)) return 'not_utf8'
  const text = body.toString('utf8')
  let value: unknown
  try {
    value = parseJson(text, { protoAction: 'error', constructorAction: 'error' })
  } catch {
    return isJson(text) ? 'prototype_poisoning' : 'not_json'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'not_an_object'
  return isDeeperThan(MAX_DEPTH, value) ? 'too_deep' : (value as JsonObject)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function isDeeperThan(limit: number, value: object): boolean {
  if (limit === 0) return true
  for (const key in value) {
    const child = (value as JsonObject)[key]
    if (typeof child === 'object' && child !== null && isDeeperThan(limit - 1, child)) return true
  }
  return false
}

/** CONTRACT: `event_id`; else what the source's pointer names; else a digest of the delivery itself. */
function eventId(payload: JsonObject, received: Received, body: VerifiedBody): string {
  const { idPointer } = received.source
  const named = idPointer === undefined ? undefined : valueAt(payload, pathOf(idPointer))
  return (
    asId(payload['event_id']) ??
    asId(Number.isSafeInteger(named) ? String(named) : named) ??
    bodyId(received, body)
  )
}

/** Half a surrogate pair has no UTF-8: ids that differ in it alone would have one digest. */
const asId = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value.length <= MAX_ID_LENGTH && value.isWellFormed()
    ? value
    : undefined

/** An exact replay has the same one; two like messages, sent at different times, do not. */
function bodyId({ source, timestamp }: Received, body: VerifiedBody): string {
  return createHash('sha256').update(`${source.name}\0${timestamp}\0`).update(body).digest('hex')
}

const digestOf = (id: string, source: string): string => hash('sha256', `${source}\0${id}`, 'base64')

/** An id that is itself personal, such as an address, is remembered as it is and shown as its digest, in hex. */
const shownId = (id: string, digest: string, sanitizer: Sanitizer): string =>
  sanitizer.token(id) === id ? id : Buffer.from(digest, 'base64').toString('hex')

function subjectOf(clean: unknown): string | undefined {
  const customerId = valueAt(clean, CUSTOMER_ID) ?? valueAt(clean, IDENTIFIED_BY)
  const id = typeof customerId === 'number' ? String(customerId) : customerId
  return typeof id === 'string' && id !== '' ? id : undefined
}

function millisecondsOf(timestamp: unknown): number | undefined {
  if (typeof timestamp !== 'number' || !(timestamp >= 0 && timestamp <= MAX_UNIX_SECONDS)) return undefined
  return Math.round(timestamp * 1000)
}
