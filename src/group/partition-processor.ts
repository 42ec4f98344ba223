// Tested by test/consume/consumer.test.ts and test/dispatch/http/http-consumer.slow.test.ts.
import { raceAbort } from '../async/abort.ts'
import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import { createKeyedQueue } from '../async/keyed-queue.ts'
import type { Semaphore } from '../async/semaphore.ts'
import { formatPosition } from '../log/position.ts'
import { type DeadLetterReason, deadLetters } from './dead-letters.ts'
import { type ErrorContext, InterruptedError, MalformedEntryError } from './entry-errors.ts'
import type { EntryFilter } from './entry-filter.ts'
import type { EventBudget } from './event-budget.ts'
import type { ReadEntry } from './fenced-read.ts'
import type { PartitionReader } from './partition-reader.ts'
import type { PastAttempt } from './past-attempt.ts'

/** An attempt to handle an event. */
export interface AttemptContext {
  readonly entry: ReadEntry
  /** From 1. */
  readonly attempt: number
  /** Aborted when another member may handle the event. */
  readonly revoked: AbortSignal
}

export interface FailedAttempt {
  readonly error: unknown
  readonly entry: ReadEntry
  /** The attempts of this process that count, the failed one last. */
  readonly attempts: readonly PastAttempt[]
  readonly attempt: PastAttempt
  readonly draining: AbortSignal
}

/**
 * What follows a failed attempt:
 * - `retry`: another attempt, after `wait` has resolved. Later events of the key wait
 * - `uncounted`: the same, but as if there had been no attempt. The semaphore decides when
 * - `hand_over`: the event is acknowledged after `write`, which saves it elsewhere. `write` is repeated until it succeeds,
 *   or rejects while the reader is draining
 * - `dead`: a dead letter
 */
export type AfterFailure =
  | { readonly next: 'retry'; readonly wait: Promise<void> }
  | { readonly next: 'uncounted' }
  | { readonly next: 'hand_over'; readonly write: () => Promise<void> }
  | { readonly next: 'dead' }

export interface PartitionProcessorOptions<Event> {
  readonly keyPrefix: string
  readonly group: string
  readonly isWanted: EntryFilter
  /** @returns `undefined` if the entry is malformed; it becomes a dead letter. The events of a key are handled in order */
  readonly readEvent: (entry: ReadEntry) => { readonly key: string; readonly event: Event } | undefined
  /**
   * Handles an event. A rejection is a failed attempt.
   *
   * @returns true if it is handled, and false if the attempt was given up: then the next reader gets the event
   */
  readonly handle: (event: Event, context: AttemptContext) => Promise<boolean>
  /** @returns what an attempt that failed with this error is called in dead letters. Contains nothing personal */
  readonly answerOf: (error: unknown) => string
  readonly afterFailure: (failure: FailedAttempt) => AfterFailure
  /** After this many attempts that ended with their process, the event is a dead letter. */
  readonly maxInterrupted: number
  /** Limits the events in `handle`, over all partitions. */
  readonly semaphore: Semaphore
  /** Unacknowledged entries of one partition in this process, at most. */
  readonly maxInFlight: number
  /** Shared with other partitions. While it is spent, this one has at most `minInFlight` entries. */
  readonly budget: EventBudget
  readonly minInFlight: () => number
  readonly onError: (error: unknown, about?: ErrorContext) => void
}

interface Job<Event> {
  readonly entry: ReadEntry
  readonly event: Event
}

/** Entries per read, at most. */
const MAX_BATCH_ENTRIES = 100
/** Characters of one partition's events in this process. The last read may exceed it. */
const MAX_IN_FLIGHT_CHARACTERS = 8 * 1024 * 1024
/** The pauses between the tries of a write to Redis. */
const WRITE_BACKOFF: Backoff = { firstMs: 100, maxMs: 5000 }

/**
 * Processes a partition until its reader drains: the events of one key in order, those of different keys concurrently.
 * Each is acknowledged after it is handled. Never rejects.
 */
export function processPartition<Event>(
  options: PartitionProcessorOptions<Event>,
  reader: PartitionReader
): Promise<void> {
  const { readEvent, handle, answerOf, afterFailure, isWanted, semaphore, budget, onError } = options
  const { draining, revoked } = reader
  const letters = deadLetters(reader.redis, options.keyPrefix)
  const queue = createKeyedQueue<Job<Event>>(handleWithRetry)
  const neverAttempted: ReadEntry[] = []
  const held = budget.open()
  let onRoom = (): void => {}
  return process()

  async function process(): Promise<void> {
    draining.addEventListener('abort', () => onRoom(), { once: true })
    for (;;) {
      while (room() <= 0 && !draining.aborted) await new Promise<void>(resolve => (onRoom = resolve))
      const entries = await reader.read(Math.min(MAX_BATCH_ENTRIES, room()))
      if (entries.length === 0) break
      accept(entries)
    }
    await raceAbort(revoked, queue.idle())
    held.close()
    // They were delivered, but not attempted: the next reader starts with the first attempt.
    if (neverAttempted.length > 0 && !revoked.aborted) {
      await reader.setDeliveryCount(neverAttempted, 0).catch(onError)
    }
  }

  /** How many more entries may be read. Each acknowledgement makes room, so a spent budget needs no signal of its end. */
  function room(): number {
    if (held.characters >= MAX_IN_FLIGHT_CHARACTERS) return 0
    return (budget.isSpent ? options.minInFlight() : options.maxInFlight) - held.entries
  }

  function accept(entries: readonly ReadEntry[]): void {
    const unwanted: ReadEntry[] = []
    for (const entry of entries) {
      held.add(entry.event)
      if (entry.type !== '' && !isWanted(entry)) {
        unwanted.push(entry)
        continue
      }
      const read = readEvent(entry)
      if (read !== undefined) queue.add(read.key, { entry, event: read.event })
      else void deadLetter(entry, 'malformed', new MalformedEntryError(), entry.deliveryCount)
    }
    void acknowledge(unwanted)
  }

  async function acknowledge(entries: readonly ReadEntry[]): Promise<void> {
    if (entries.length === 0) return
    await reader.acknowledge(entries)
    for (const { event } of entries) held.remove(event)
    if (room() > 0) onRoom()
  }

  /** Returns when the event is handled, handed over, a dead letter, or left to the next reader. Never rejects. */
  async function handleWithRetry({ entry, event }: Job<Event>): Promise<void> {
    let attemptCount = entry.deliveryCount
    // With one allowed attempt, the member may have crashed before it began: then another one is allowed.
    if (attemptCount >= options.maxInterrupted && attemptCount > 1) {
      await deadLetter(entry, 'interrupted', new InterruptedError(attemptCount), attemptCount)
      return
    }
    const attempts: PastAttempt[] = []
    let begun = false
    while (!draining.aborted) {
      if (!(await semaphore.acquire(draining))) break
      attemptCount++
      let error: unknown
      const [atMs, startedMs] = [Date.now(), performance.now()]
      try {
        // Saved before the attempt, so that it counts even if it ends the process. Redis has counted the first.
        if (attemptCount > 1 && !(await saveAttempts(entry, attemptCount))) break
        begun = true
        if (await handle(event, { entry, attempt: attemptCount, revoked })) {
          void acknowledge([entry])
          return
        }
        begun = attempts.length > 0
        break
      } catch (thrown) {
        error = thrown
      } finally {
        semaphore.release()
      }
      const durationMs = performance.now() - startedMs
      const attempt: PastAttempt = { attempt: attemptCount, atMs, answer: answerOf(error), durationMs }
      attempts.push(attempt)
      const after = afterFailure({ error, entry, attempt, attempts, draining })
      if (after.next === 'dead') {
        await deadLetter(entry, 'failed', error, attemptCount, attempts)
        return
      }
      if (after.next === 'hand_over') {
        if (await persist(after.write, draining)) void acknowledge([entry])
        return
      }
      report(error, entry, attemptCount, false)
      if (after.next === 'retry') await after.wait
      else {
        attempts.pop()
        attemptCount--
        begun = attempts.length > 0
        if (attemptCount > 0) await saveAttempts(entry, attemptCount)
      }
    }
    if (!begun && entry.deliveryCount === 0) neverAttempted.push(entry)
  }

  function saveAttempts(entry: ReadEntry, attempts: number): Promise<boolean> {
    return persist(() => reader.setDeliveryCount([entry], attempts), revoked)
  }

  /** Acknowledges the entry after the dead letter is added: see `DeadLetters.add`. */
  async function deadLetter(
    entry: ReadEntry,
    reason: DeadLetterReason,
    error: unknown,
    attempts: number,
    lastAttempts: readonly PastAttempt[] = []
  ): Promise<void> {
    const dead = { ...entry, position: formatPosition(entry.partition, entry.id) }
    const failure = { reason, error, attempts, lastAttempts }
    if (!(await persist(() => letters.add(options.group, dead, failure), revoked))) return
    report(error, entry, attempts, true)
    void acknowledge([entry])
  }

  /** Repeats a write until it succeeds. @returns false if `signal` aborts or the lease is lost before that */
  async function persist(write: () => Promise<void>, signal: AbortSignal): Promise<boolean> {
    for (let failures = 0; !revoked.aborted; ) {
      try {
        await write()
        return true
      } catch (error) {
        if (signal.aborted) return false
        onError(error)
        await pause(backoffMs(WRITE_BACKOFF, ++failures), signal)
      }
    }
    return false
  }

  function report(error: unknown, { partition, id, type }: ReadEntry, attempt: number, dead: boolean): void {
    onError(error, { partition, entryId: id, type, attempt, dead })
  }
}
