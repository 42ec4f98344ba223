// Tested by test/group/outgoing-event.test.ts.
import { SOURCE_PREFIX } from '../event-types.ts'

/** The attributes by which an event of this service is recognized. */
export interface CloudEvent {
  readonly specversion: '1.0'
  readonly id: string
  /** `/customerio/<source>` */
  readonly source: string
  readonly type: string
  readonly subject?: string
  /** Of the trace that records the event, if there is one (extension for distributed tracing). Not checked. */
  readonly traceparent?: unknown
  readonly tracestate?: unknown
}

/**
 * Parses an entry's event. Only the envelope is checked: no description of Customer.io's payloads is reliable enough to
 * reject an event by it.
 *
 * @returns `undefined` unless it is an event of this service
 */
export function parseCloudEvent(text: string): CloudEvent | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return isCloudEvent(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

/** Ends the attributes that stand before `data`. A string cannot contain this text: its quotes would be escaped. */
const END_OF_ENVELOPE = ',"datacontenttype":'

/**
 * As `parseCloudEvent`, for lists and for pushing: an event can have 8 MiB, so only the attributes before `data` are
 * parsed, which takes half the time also for small events.
 */
export function parseEnvelope(text: string): CloudEvent | undefined {
  const end = text.indexOf(END_OF_ENVELOPE)
  const envelope = end === -1 ? undefined : parseCloudEvent(`${text.slice(0, end)}}`)
  return envelope ?? parseCloudEvent(text)
}

/** Whether an event, as JSON text, has the extension `backfilled`: it stands before `datacontenttype`, as attributes do. */
export function isBackfilled(text: string): boolean {
  const end = text.indexOf(END_OF_ENVELOPE)
  return end !== -1 && text.endsWith(',"backfilled":true', end)
}

function isCloudEvent(parsed: unknown): parsed is CloudEvent {
  if (typeof parsed !== 'object' || parsed === null) return false
  const { specversion, id, source, type, subject }: Partial<Record<keyof CloudEvent, unknown>> = parsed
  return (
    specversion === '1.0' &&
    isNonEmpty(id) &&
    isNonEmpty(source) &&
    source.startsWith(SOURCE_PREFIX) &&
    isNonEmpty(type) &&
    (subject === undefined || typeof subject === 'string')
  )
}

const isNonEmpty = (value: unknown): value is string => typeof value === 'string' && value !== ''
