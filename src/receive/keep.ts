import type { AppendOutcome, EventLog } from '../log/append.ts'
import { type ParsedDelivery, partitionKeyOf, toLogEntry } from './log-entry.ts'

export interface Kept {
  readonly outcome: AppendOutcome
  /** Time spent in the log. */
  readonly logMs: number
}

/** From this size on, sanitizing costs more than asking Redis first whether the id is known. */
const LOOKUP_FIRST_BYTES = 64 * 1024

/**
 * Keeps a delivery, once. A large one whose id is known is not sanitized again: if sanitizing took longer than the
 * deadline, the retry is answered all the same.
 *
 * @param nextTurn waited for before a large delivery is sanitized, so that several do not follow each other in one
 *   turn of the event loop
 * @throws UnavailableError when it was not kept, or nobody can know
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
