// Tested by test/dispatch/attempts.test.ts and test/dispatch/outages.slow.test.ts.
import { createPollingLoop } from '../async/poll.ts'
import type { Logger } from '../ops/logger.ts'
import type { AttemptOutcome } from '../ops/outcomes.ts'
import type { RedisClient } from '../redis/connect.ts'
import { createAttemptLog, type RecordedAttempt } from './attempt-log.ts'
import type { AttemptSummary, ConsumerStates } from './consumer-state.ts'
import { createOutageReporter } from './outage-reporter.ts'

export interface CompletedAttempt extends RecordedAttempt {
  /** Why the consumer failed, in our own words; `undefined` if it did not, also when it refuses an event. */
  readonly failure?: string | undefined
  /** For the log line about the failure. */
  readonly error?: unknown
}

/**
 * The one place where attempts of push consumers are recorded: metrics, log lines, the consumer's last failure and
 * success, and the log of attempts. What goes to Redis is buffered, and written once per second.
 */
export interface AttemptRecorder {
  /** Never rejects or waits. */
  record(attempt: CompletedAttempt): void
  /** Writes the rest. Never rejects. */
  close(): Promise<void>
}

export interface AttemptRecorderOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  /** Attempts kept per consumer, about; 0: none. */
  readonly length: number
  readonly states: ConsumerStates
  readonly countAttempts: (consumer: string, outcome: AttemptOutcome, events: number) => void
  readonly log: Logger
  readonly now: () => number
}

const FLUSH_INTERVAL_MS = 1000

export function createAttemptRecorder(options: AttemptRecorderOptions): AttemptRecorder {
  const { states, countAttempts, log, now } = options
  const onError = (error: unknown): void => log.debug({ err: error }, 'attempts could not be recorded')
  const attemptLog = createAttemptLog({ ...options, onError })
  const outages = createOutageReporter(log, now)
  let summaries = new Map<string, AttemptSummary>()
  const loop = createPollingLoop(writeSummaries, FLUSH_INTERVAL_MS, onError)
  loop.start()

  return {
    record: attempt => {
      countAttempts(attempt.consumer, attempt.outcome, attempt.eventIds.length)
      attemptLog.record(attempt)
      summarize(attempt)
      report(attempt)
    },
    close: async () => {
      await loop.stop()
      await Promise.all([writeSummaries().catch(onError), attemptLog.close()])
    }
  }

  function summarize({ consumer, outcome, failure, atMs, durationMs }: CompletedAttempt): void {
    const before: AttemptSummary = summaries.get(consumer) ?? { failures: 0 }
    const endedAtMs = Math.round(atMs + durationMs)
    if (outcome === 'delivered') {
      const { failures, lastFailure } = before
      summaries.set(consumer, { failures, lastFailure, lastSuccessAtMs: endedAtMs })
    } else if (failure !== undefined) {
      summaries.set(consumer, {
        ...before,
        failures: before.failures + 1,
        lastFailure: { reason: failure, atMs: endedAtMs },
        failingSinceMs: before.failingSinceMs ?? endedAtMs
      })
    }
  }

  function report(attempt: CompletedAttempt): void {
    const { consumer, eventIds, outcome, answer, durationMs } = attempt
    if (log.isLevelEnabled('debug')) {
      const { length: events, 0: id } = eventIds
      const ms = Math.round(durationMs)
      log.debug({ consumer, id, events, attempt: attempt.attempt, outcome, answer, ms }, 'attempt')
    }
    if (outcome === 'delivered') outages.delivered(consumer)
    else if (outcome === 'gone') outages.disabled(attempt)
    else if (attempt.failure !== undefined) outages.failed(attempt)
  }

  async function writeSummaries(): Promise<void> {
    const written = summaries
    summaries = new Map()
    await Promise.all([...written].map(([name, summary]) => states.addAttempts(name, summary)))
  }
}
