import { hash } from 'node:crypto'
import { SOURCE_PREFIX } from '../event-types.ts'
import type { LogPosition } from '../log/position.ts'
import { type EventTrace, eventTrace } from '../trace-context.ts'
import { type CloudEvent, parseEnvelope } from './cloud-event.ts'

/** An event that is pushed to a consumer. */
export interface OutgoingEvent {
  /** Event id. One that cannot be a header value is replaced by its SHA-256. */
  readonly id: string
  /** The source it came from. Ids of different sources may be equal. */
  readonly source: string
  /** CloudEvents type, `io.customer.<object_type>.<metric>`. */
  readonly type: string
  /** The CloudEvent as JSON text, unchanged. */
  readonly event: string
  readonly position: LogPosition
  /** The trace that records it. */
  readonly trace?: EventTrace | undefined
}

type LoggedEvent = Pick<OutgoingEvent, 'position' | 'event'>

/** Printable ASCII without blanks, at most as long as an AMQP short string: valid in any header. */
const HEADER_SAFE = /^[\x21-\x7e]{1,255}$/

/** @returns the event of a log entry or a dead letter; `undefined` unless it is an event of this service */
export function toOutgoingEvent(entry: LoggedEvent): OutgoingEvent | undefined {
  const parsed = parseEnvelope(entry.event)
  return parsed && outgoingEventOf(parsed, entry)
}

/** @param parsed `event` of the entry */
export function outgoingEventOf(
  { id, source, type, traceparent, tracestate }: CloudEvent,
  { position, event }: LoggedEvent
): OutgoingEvent {
  return {
    id: HEADER_SAFE.test(id) ? id : hash('sha256', id),
    source: source.slice(SOURCE_PREFIX.length),
    type,
    event,
    position,
    // Most events have none. As a property it would be in each of them, also in the queue.
    ...(traceparent !== undefined && { trace: eventTrace(traceparent, tracestate) })
  }
}
