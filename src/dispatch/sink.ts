import type { DeadLetters } from '../group/dead-letters.ts'
import type { OutgoingEvent } from '../group/outgoing-event.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { AttemptRecorder, AttemptRecorderOptions } from './attempt-recorder.ts'
import type { ConsumerStates } from './consumer-state.ts'
import type { DeadLetterReporter } from './dead-letter-reporter.ts'

/** An event that the target will never accept, however often it is offered. */
export interface Refused {
  readonly event: OutgoingEvent
  readonly reason: string
}

/**
 * The target of a push consumer: a queue or a broker. Its contract is tested by test/dispatch/sinks/sink-conformance.ts.
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
  /**
   * For a sink that sends events after `publish` has resolved. It sends nothing before the first `resume`, and nothing
   * new after `pause`; what is in flight finishes.
   */
  readonly pausing?: { pause(): void; resume(): void }
  /** Closes connections. Calls in flight end, successfully or with a rejection. */
  close(): Promise<void>
}

/** Shared by all push consumers of a process. Of the sinks, only that for HTTP needs it, because it retries by itself. */
export interface SinkContext {
  /** For BullMQ only: opened with the profile `blocking`. */
  readonly queueRedis: RedisClient
  readonly keyPrefix: string
  readonly states: ConsumerStates
  readonly deadLetters: DeadLetters
  readonly now: () => number
  readonly attempts: AttemptRecorder
  readonly countAttempts: AttemptRecorderOptions['countAttempts']
  readonly reporter: DeadLetterReporter
  readonly onError: (consumer: string, error: unknown) => void
}
