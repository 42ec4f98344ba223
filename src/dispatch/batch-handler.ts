import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import type { HandleEntries } from '../group/batch-consumer.ts'
import type { DeadEntry, DeadLetters } from '../group/dead-letters.ts'
import { MalformedEntryError } from '../group/entry-errors.ts'
import { compileEntryFilter } from '../group/entry-filter.ts'
import type { ReadEntry } from '../group/fenced-read.ts'
import { type OutgoingEvent, toOutgoingEvent } from '../group/outgoing-event.ts'
import { formatPosition } from '../log/position.ts'
import type { AmqpSettings, NatsSettings } from '../settings/consumers-file.ts'
import { answerOf, reasonOf } from './failure.ts'
import type { PushContext } from './push-context.ts'
import { startBatchSpan } from './send-span.ts'
import type { Refused, Sink } from './sink.ts'

class RefusedError extends Error {
  override readonly name = 'RefusedError'
}

/** A broker did not confirm a batch. The attempt is recorded already. */
export class PublishFailedError extends Error {
  override readonly name = 'PublishFailedError'
}

/** The pauses between the tries to add a dead letter. */
const WRITE_BACKOFF: Backoff = { firstMs: 100, maxMs: 5000 }

/** A batch as a broker got it. */
interface Batch {
  readonly events: readonly OutgoingEvent[]
  readonly attempt: number
  readonly atMs: number
  readonly durationMs: number
}

/**
 * Handles the batches of one push consumer: selects the events of its types, and gives them to its sink. Malformed
 * entries, and events that the target can never accept, become dead letters.
 *
 * A batch that failed counts as one attempt, with its first event: while a broker is down, single events would fill the
 * log of attempts within minutes. Each event of a confirmed batch has an attempt, with the batch's number.
 *
 * @param onError called with the error of Redis if a dead letter cannot be added. It is added again
 */
export function createBatchHandler(
  settings: NatsSettings | AmqpSettings,
  sink: Sink,
  context: PushContext,
  onError: (error: unknown) => void
): HandleEntries {
  const { name: consumer } = settings
  const { attempts, reporter, deadLetters, tracing, now } = context
  const isWanted = compileEntryFilter(settings)
  /** The failed batch of each partition, and how often it failed. */
  const failed = new Map<number, { readonly position: string; readonly attempts: number }>()

  return async (entries, signal) => {
    const wanted: OutgoingEvent[] = []
    const malformed: ReadEntry[] = []
    for (const entry of entries) {
      const event = toOutgoingEvent({ position: positionOf(entry), event: entry.event })
      if (event === undefined) malformed.push(entry)
      else if (isWanted(event)) wanted.push(event)
    }
    const [first] = wanted
    const partition = entries[0]?.partition
    if (first !== undefined && partition !== undefined) {
      const before = failed.get(partition)
      const attempt = before?.position === first.position ? before.attempts + 1 : 1
      failed.set(partition, { position: first.position, attempts: attempt })
      await publish(wanted, first, attempt, signal)
      failed.delete(partition)
    }
    // Only now: a batch that failed comes again, with the same entries.
    for (const entry of malformed) await addMalformed(entry, signal)
  }

  async function publish(
    events: readonly OutgoingEvent[],
    first: OutgoingEvent,
    attempt: number,
    signal: AbortSignal
  ): Promise<void> {
    const [atMs, startedMs] = [now(), performance.now()]
    const batch = (): Batch => ({ events, attempt, atMs, durationMs: performance.now() - startedMs })
    const span = tracing && startBatchSpan(tracing, settings, events)
    let refused: readonly Refused[]
    try {
      refused = await sink.publish(events, signal)
      span?.end({})
    } catch (error) {
      span?.end({}, signal.aborted ? 'aborted' : answerOf(error))
      // The lease is lost, or the service stops: no failure of the consumer.
      if (signal.aborted) throw error
      const { durationMs } = batch()
      attempts.record({
        consumer,
        eventIds: [first.id],
        attempt,
        atMs,
        durationMs,
        outcome: 'failed',
        answer: answerOf(error),
        failure: reasonOf(error),
        error
      })
      throw new PublishFailedError('the batch was not confirmed', { cause: error })
    }
    await recordPublished(batch(), refused, signal)
  }

  async function recordPublished(
    batch: Batch,
    refused: readonly Refused[],
    signal: AbortSignal
  ): Promise<void> {
    const { attempt, atMs, durationMs } = batch
    const refusedEvents = new Set(refused.map(({ event }) => event))
    const accepted = batch.events.filter(event => !refusedEvents.has(event))
    if (accepted.length > 0) {
      const eventIds = accepted.map(({ id }) => id)
      attempts.record({
        consumer,
        eventIds,
        attempt,
        atMs,
        durationMs,
        outcome: 'delivered',
        answer: 'confirmed'
      })
    }
    for (const { event, reason } of refused) {
      const done = { attempt, atMs, durationMs, answer: `refused: ${reason}` }
      const error = new RefusedError(reason)
      await addDeadLetter(event, { reason: 'failed', error, attempts: attempt, lastAttempts: [done] }, signal)
      attempts.record({ ...done, consumer, eventIds: [event.id], outcome: 'dead' })
      reporter.report({
        consumer,
        eventId: event.id,
        type: event.type,
        attempts: attempt,
        reason: done.answer
      })
    }
  }

  async function addMalformed(entry: ReadEntry, signal: AbortSignal): Promise<void> {
    const position = positionOf(entry)
    const failure = { reason: 'malformed', error: new MalformedEntryError(), attempts: 1 } as const
    await addDeadLetter({ ...entry, position }, failure, signal)
    context.countAttempts(consumer, 'dead', 1)
    reporter.reportMalformed(consumer, position)
  }

  /** Repeated until Redis has it: the broker has confirmed the batch, and must not get it again. */
  async function addDeadLetter(
    entry: DeadEntry,
    failure: Parameters<DeadLetters['add']>[2],
    signal: AbortSignal
  ): Promise<void> {
    for (let failures = 0; ; ) {
      try {
        await deadLetters.add(consumer, entry, failure)
        return
      } catch (error) {
        if (signal.aborted) throw error
        onError(error)
        await pause(backoffMs(WRITE_BACKOFF, ++failures), signal)
      }
    }
  }
}

const positionOf = ({ partition, id }: ReadEntry) => formatPosition(partition, id)
