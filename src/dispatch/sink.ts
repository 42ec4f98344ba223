import type { OutgoingEvent } from '../group/outgoing-event.ts'

/** An event that the other side will never take, however often it is offered. */
export interface Refused {
  readonly event: OutgoingEvent
  readonly reason: string
}

/**
 * The other side of a consumer: a queue, a broker.
 *
 * `publish` resolves once the other side has every event and says so; nothing is acknowledged before. It rejects
 * when that is not known, be it that the other side is away; then all of the same events are offered again. So a
 * sink keeps nothing of what it was given, and what it was given once may arrive twice. Events of one call
 * arrive in order; calls do not overlap in one partition, those of different partitions may.
 */
export interface Sink {
  /**
   * @param signal aborts when the events are somebody else's now: then it rejects soon
   * @returns what can't be taken, to be set aside; all the rest was
   * @throws an error that shows neither a secret nor an event
   */
  publish(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<readonly Refused[]>
  /** Lets go of connections. What is under way ends, well or with a rejection. */
  close(): Promise<void>
}
