import type { AppendOutcome, EventLog } from '../log/append.ts'
import { type ParsedDelivery, partitionKeyOf, toLogEntry } from './log-entry.ts'

interface Kept {
  readonly outcome: AppendOutcome
  /** Time spent in calls to the log. */
  readonly logMs: number
}

/** From this size on, sanitizing costs more than asking Redis first whether the id is a duplicate. */
const LOOKUP_FIRST_BYTES = 64 * 1024

/**
 * Appends a delivery to the log, once. A large one with a known id is not sanitized again: even if sanitizing took longer
 * than the deadline, its retry is answered in time.
 *
 * @param nextTurn awaited before a large delivery is sanitized, so that one turn of the event loop has one of them
 * @throws UnavailableError if it was not appended, or the outcome is unknown
 */
export async function keepDelivery(
  delivery: ParsedDelivery,
  eventLog: EventLog,
  nextTurn: () => Promise<void>
): Promise<Kept> {
  let logMs = 0
  const { digest, body } = delivery
  if (body.length >= LOOKUP_FIRST_BYTES) {
    const isKnown = await timed(eventLog.isKnown(digest, partitionKeyOf(delivery)))
    if (isKnown) return { outcome: 'duplicate', logMs }
    await nextTurn()
  }
  const outcome = await timed(eventLog.append(toLogEntry(delivery)))
  return { outcome, logMs }

  async function timed<T>(call: Promise<T>): Promise<T> {
    const startedMs = performance.now()
    const result = await call
    logMs += performance.now() - startedMs
    return result
  }
}
