// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import { eventName, eventType } from '../event-types.ts'
import type { LogEntry } from '../log/log-entry.ts'
import type { Source } from '../settings/sources.ts'
import { cloudEvent } from './cloud-event.ts'
import { namedDigest } from './event-id.ts'
import { eventTimeMs } from './event-time.ts'
import { subjectOf } from './log-entry.ts'
import type { JsonObject } from './payload.ts'

/** An event that no delivery brought: sanitized, and ready to be appended later. */
export interface BackfilledEvent {
  readonly id: string
  readonly type: string
  readonly subject: string | undefined
  /** Unix milliseconds. */
  readonly happenedAtMs: number | undefined
  readonly messageId: string
  /** The sanitized payload, as JSON text. */
  readonly data: string
}

/**
 * Sanitizes a payload in Customer.io's shape by the policy of a source.
 *
 * @param payload without `event_id`
 * @param digest of its message and metric in the message index: the event id is derived from it, so that it is the same each time
 */
export function backfilledEvent(
  payload: JsonObject,
  messageId: string,
  digest: string,
  { sanitizer, schemes }: Pick<Source, 'sanitizer' | 'schemes'>
): BackfilledEvent {
  const id = `backfilled-${Buffer.from(digest, 'base64').toString('hex').slice(0, 32)}`
  const type = eventType(payload)
  const whole = { event_id: id, ...payload }
  const bodyBytes = Buffer.byteLength(JSON.stringify(whole))
  const clean = sanitizer.value(whole, { event: eventName(type), bodyBytes })
  return {
    id,
    type,
    subject: subjectOf(clean, { schemes }),
    happenedAtMs: eventTimeMs(payload['timestamp']),
    messageId,
    data: JSON.stringify(clean)
  }
}

/** The subject of the events with these ids, without sanitizing a whole payload. @param data with the ids only */
export const backfilledSubject = (
  data: JsonObject,
  { sanitizer, schemes }: Pick<Source, 'sanitizer' | 'schemes'>
): string | undefined => subjectOf(sanitizer.value({ data }), { schemes })

/** @param source its name @param receivedAtMs Unix milliseconds: the time at which it is appended */
export function toBackfilledEntry(event: BackfilledEvent, source: string, receivedAtMs: number): LogEntry {
  const { id, type, subject, happenedAtMs, messageId, data } = event
  const envelope = { id, type, source, subject, happenedAtMs, receivedAtMs, backfilled: true }
  return {
    stream: 'events',
    id,
    digest: namedDigest(source, id),
    type,
    parked: undefined,
    partitionKey: subject ?? id,
    happenedAtMs,
    messageId,
    backfilled: true,
    event: cloudEvent(envelope, data)
  }
}
