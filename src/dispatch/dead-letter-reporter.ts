import type { LogPosition } from '../log/position.ts'
import type { Logger } from '../ops/logger.ts'

/** A new dead letter, as log lines show it. */
export interface ReportedDeadLetter {
  readonly consumer: string
  readonly eventId: string
  readonly type: string
  readonly attempts: number
  /** In our own words. */
  readonly reason: string
}

/** A log line for each dead letter. When many events die at once, most of them are counted in one line per second. */
export interface DeadLetterReporter {
  report(letter: ReportedDeadLetter): void
  /** @param position of an entry that cio-webhook did not write */
  reportMalformed(consumer: string, position: LogPosition): void
  close(): void
}

/** Lines about single dead letters, per second and consumer. */
const MAX_LINES = 10
const PERIOD_MS = 1000

export function createDeadLetterReporter(log: Logger): DeadLetterReporter {
  /** Dead letters of this second, by consumer. */
  const counts = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined

  return {
    report: ({ consumer, eventId, type, attempts, reason }) => {
      if (!hasLineLeft(consumer)) return
      log.warn({ consumer, id: eventId, type, attempts, reason }, 'event moved to dead letters')
    },
    reportMalformed: (consumer, position) => {
      if (!hasLineLeft(consumer)) return
      log.warn(
        { consumer, position },
        'malformed log entry moved to dead letters: cio-webhook did not write it'
      )
    },
    close: () => {
      clearTimeout(timer)
      summarize()
    }
  }

  /** Counts a dead letter. */
  function hasLineLeft(consumer: string): boolean {
    const count = (counts.get(consumer) ?? 0) + 1
    counts.set(consumer, count)
    timer ??= setTimeout(summarize, PERIOD_MS).unref()
    return count <= MAX_LINES
  }

  function summarize(): void {
    timer = undefined
    for (const [consumer, count] of counts) {
      if (count > MAX_LINES) {
        log.warn({ consumer, events: count - MAX_LINES }, 'further events moved to dead letters')
      }
    }
    counts.clear()
  }
}
