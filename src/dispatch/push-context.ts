import type { DeadLetters } from '../group/dead-letters.ts'
import type { EventBudget } from '../group/event-budget.ts'
import type { Tracing } from '../ops/spans.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { AttemptRecorder, AttemptRecorderOptions } from './attempt-recorder.ts'
import type { ConsumerStates } from './consumer-state.ts'
import type { DeadLetterReporter } from './dead-letter-reporter.ts'
import type { Pausable } from './pause-watcher.ts'

/** Delivers to one consumer. */
export interface PushConsumer extends Pausable {
  /** Ends in time for a stop of the service. What is in flight may be aborted; it is not lost. */
  close(): Promise<void>
}

/** Shared by all push consumers of a process. */
export interface PushContext {
  /** Opens a connection for reading the log, which its user closes. */
  readonly connect: () => RedisClient
  /** This process, as a member of consumer groups. */
  readonly member: string
  /** For BullMQ only: opened with the profile `blocking`. */
  readonly queueRedis: RedisClient
  readonly keyPrefix: string
  readonly states: ConsumerStates
  readonly deadLetters: DeadLetters
  /** For events of HTTP consumers. */
  readonly eventBudget: EventBudget
  readonly now: () => number
  /** `undefined`: traces are off. */
  readonly tracing: Tracing | undefined
  readonly attempts: AttemptRecorder
  readonly countAttempts: AttemptRecorderOptions['countAttempts']
  readonly reporter: DeadLetterReporter
  /** Reports that the log cannot be read for a consumer. */
  readonly readErrorReporter: (consumer: string) => { report(error: unknown): void }
  /** An error of a push queue. */
  readonly onError: (consumer: string, error: unknown) => void
}
