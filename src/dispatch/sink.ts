import type { OutgoingEvent } from '../group/outgoing-event.ts'

/** An event that the target will never accept, however often it is offered. */
export interface Refused {
  readonly event: OutgoingEvent
  readonly reason: string
}

/**
 * The broker that a push consumer publishes to. Its contract is tested by test/dispatch/sinks/sink-conformance.ts.
 *
 * `publish` resolves once the target has confirmed every event; nothing is acknowledged in the log before. It rejects
 * if that is not known, for example because the target is down. The same events are then offered again, so a sink keeps
 * nothing between calls, and an event may arrive twice. The events of one call arrive in order. Calls for the same
 * partition do not overlap; calls for different partitions may.
 */
export interface Sink {
  /**
   * @param signal aborts when another member may have the partition: then it rejects soon
   * @returns the events that can never be accepted, which become dead letters; all others were accepted
   * @throws an error that shows neither a secret nor an event
   */
  publish(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<readonly Refused[]>
  /** Closes connections. Calls in flight end, successfully or with a rejection. */
  close(): Promise<void>
}
