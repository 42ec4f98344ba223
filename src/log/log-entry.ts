/** An entry to be appended to the log: sanitized and serialized. */
export interface LogEntry {
  readonly stream: 'events' | 'parked'
  /** The event id as shown in the answer, the log line and the CloudEvent. */
  readonly id: string
  /** CloudEvents type. */
  readonly type: string
  /** The key of the dedupe index: SHA-256 of the source and the event id as received, in base64. */
  readonly digest: string
  /** Entries with the same key stay in order. */
  readonly partitionKey: string
  /** The CloudEvent, as JSON text. */
  readonly event: string
  readonly parked: ParkedReason | undefined
  /** The time of the event by its payload, unix milliseconds. */
  readonly happenedAtMs: number | undefined
  /**
   * Customer.io's `delivery_id`: the message, such as an e-mail to one person, that the event is about; `undefined` if it
   * is not about one. With it, anybody can unsubscribe the person.
   */
  readonly messageId: string | undefined
  /** Not from a delivery: `cio-webhook reconcile` appends it, unless the metric of the message was appended before. */
  readonly backfilled: boolean
}

/** Why an authentic delivery is not an event. It is kept in the stream of parked deliveries. */
export const parkedReasons = [
  'not_utf8',
  'not_json',
  'not_an_object',
  'too_deep',
  'prototype_poisoning'
] as const

export type ParkedReason = (typeof parkedReasons)[number]
