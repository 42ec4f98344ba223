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

/** Why an authentic delivery cannot be an event. It is kept all the same, in the stream of parked deliveries. */
export const parkedReasons = [
  'not_utf8',
  'not_json',
  'not_an_object',
  'too_deep',
  'prototype_poisoning'
] as const

export type ParkedReason = (typeof parkedReasons)[number]
