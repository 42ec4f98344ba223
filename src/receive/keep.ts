import type { AppendOutcome, EventLog } from '../log/append.ts'
import type { RecordedSpan } from '../ops/spans.ts'
import { endWithAppend, startAppendSpan } from './delivery-span.ts'
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
 * @param span of the delivery, if its trace is recorded
 * @throws UnavailableError if it was not appended, or the outcome is unknown
 */
export async function keepDelivery(
  delivery: ParsedDelivery,
  eventLog: EventLog,
  nextTurn: () => Promise<void>,
  span: RecordedSpan | undefined
): Promise<Kept> {
  const { digest, body } = delivery
  let logMs = 0
  if (body.length >= LOOKUP_FIRST_BYTES) {
    const askedMs = performance.now()
    const isKnown = await eventLog.isKnown(digest, partitionKeyOf(delivery))
    logMs = performance.now() - askedMs
    if (isKnown) return { outcome: 'duplicate', logMs }
    await nextTurn()
  }
  const appendSpan = span && startAppendSpan(span, delivery)
  const entry = toLogEntry(delivery, appendSpan?.trace)
  const startedMs = performance.now()
  const appended = eventLog.append(entry)
  const outcome = await (appendSpan === undefined ? appended : endWithAppend(appendSpan, appended))
  return { outcome, logMs: logMs + performance.now() - startedMs }
}
