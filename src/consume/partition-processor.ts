// Tested by test/consume/consumer.test.ts.
import { raceAbort } from '../async/abort.ts'
import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import { createKeyedQueue } from '../async/keyed-queue.ts'
import type { Semaphore } from '../async/semaphore.ts'
import type { TypeMatcher } from '../event-types.ts'
import { type DeadLetterReason, deadLetters } from '../group/dead-letters.ts'
import { InterruptedError, MalformedEntryError } from '../group/entry-errors.ts'
import type { ReadEntry } from '../group/fenced-read.ts'
import type { PartitionReader } from '../group/partition-reader.ts'
import type { PastAttempt } from '../group/past-attempt.ts'
import { formatPosition } from '../log/position.ts'
import type { CustomerEvent } from './events.ts'
import type { ErrorContext, Handler } from './handler.ts'
import { readEntry } from './read-entry.ts'

export interface PartitionProcessorOptions {
  readonly keyPrefix: string
  readonly group: string
  readonly handler: Handler
  readonly isWanted: TypeMatcher
  readonly maxAttempts: number
  readonly backoff: Backoff
  /** Limits the events in handlers, over all partitions. */
  readonly semaphore: Semaphore
  /** Unacknowledged entries of one partition in this process, at most. */
  readonly maxInFlight: number
  readonly onError: (error: unknown, about?: ErrorContext) => void
}

interface Job {
  readonly entry: ReadEntry
  readonly event: CustomerEvent
}

/** Entries per read, at most. */
const MAX_BATCH_ENTRIES = 100
/** Characters of one partition's events in this process. A single event may exceed it. */
const MAX_IN_FLIGHT_CHARACTERS = 8 * 1024 * 1024

/**
 * Processes a partition until its reader drains: the events of one customer in order, those of different customers
 * concurrently. Each is acknowledged after its handler has resolved. Never rejects.
 */
export function processPartition(options: PartitionProcessorOptions, reader: PartitionReader): Promise<void> {
  const { handler, isWanted, maxAttempts, backoff, semaphore, maxInFlight, onError } = options
  const { draining, revoked } = reader
  const letters = deadLetters(reader.redis, options.keyPrefix)
  const queue = createKeyedQueue<Job>(handleWithRetry)
  const neverAttempted: ReadEntry[] = []
  const inFlight = { entries: 0, characters: 0, onSpace: (): void => {} }
  return process()

  async function process(): Promise<void> {
    draining.addEventListener('abort', () => inFlight.onSpace(), { once: true })
    for (;;) {
      while (!hasSpace() && !draining.aborted)
        await new Promise<void>(resolve => (inFlight.onSpace = resolve))
      const entries = await reader.read(Math.min(MAX_BATCH_ENTRIES, maxInFlight - inFlight.entries))
      if (entries.length === 0) break
      accept(entries)
    }
    await raceAbort(revoked, queue.idle())
    // They were delivered, but not attempted: the next reader starts with the first attempt.
    if (neverAttempted.length > 0 && !revoked.aborted) {
      await reader.setDeliveryCount(neverAttempted, 0).catch(onError)
    }
  }

  function hasSpace(): boolean {
    return inFlight.entries < maxInFlight && inFlight.characters < MAX_IN_FLIGHT_CHARACTERS
  }

  function accept(entries: readonly ReadEntry[]): void {
    const unwanted: ReadEntry[] = []
    for (const entry of entries) {
      inFlight.entries++
      inFlight.characters += entry.event.length
      if (entry.type !== '' && !isWanted(entry.type)) {
        unwanted.push(entry)
        continue
      }
      const event = readEntry(entry)
      if (event !== undefined) queue.add(event.subject ?? event.id, { entry, event })
      else void deadLetter(entry, 'malformed', new MalformedEntryError(), entry.deliveryCount)
    }
    void acknowledge(unwanted)
  }

  async function acknowledge(entries: readonly ReadEntry[]): Promise<void> {
    if (entries.length === 0) return
    await reader.acknowledge(entries)
    for (const { event } of entries) {
      inFlight.entries--
      inFlight.characters -= event.length
    }
    if (hasSpace()) inFlight.onSpace()
  }

  /** Returns when the event is handled, a dead letter, or left to the next reader. Never rejects. */
  async function handleWithRetry({ entry, event }: Job): Promise<void> {
    let attempt = entry.deliveryCount
    // With one allowed attempt, the member may have crashed before it began: then another one is allowed.
    if (attempt >= maxAttempts && attempt > 1) {
      await deadLetter(entry, 'interrupted', new InterruptedError(attempt), attempt)
      return
    }
    let begun = false
    const failed: PastAttempt[] = []
    while (!draining.aborted) {
      if (!(await semaphore.acquire(draining))) break
      attempt++
      let error: unknown
      const [atMs, startedMs] = [Date.now(), performance.now()]
      try {
        // Saved before the attempt, so that it counts even if it ends the process. Redis has counted the first.
        if (attempt > 1 && !(await persist(() => reader.setDeliveryCount([entry], attempt)))) break
        begun = true
        const context = { signal: revoked, attempt, partition: entry.partition, entryId: entry.id }
        const handled = (async () => handler(event, context))().then(() => true)
        if (await raceAbort(revoked, handled)) void acknowledge([entry])
        return
      } catch (thrown) {
        error = thrown
      } finally {
        semaphore.release()
      }
      const durationMs = performance.now() - startedMs
      failed.push({ attempt, atMs, answer: errorName(error), durationMs })
      if (attempt >= maxAttempts) {
        await deadLetter(entry, 'failed', error, attempt, failed)
        return
      }
      report(error, entry, attempt, false)
      await pause(backoffMs(backoff, attempt), draining)
    }
    if (!begun && entry.deliveryCount === 0) neverAttempted.push(entry)
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
    if (!(await persist(() => letters.add(options.group, dead, failure)))) return
    report(error, entry, attempts, true)
    void acknowledge([entry])
  }

  /** Repeats a write until it succeeds. @returns false if the lease was lost before that */
  async function persist(write: () => Promise<void>): Promise<boolean> {
    for (let failures = 0; !revoked.aborted; ) {
      try {
        await write()
        return true
      } catch (error) {
        onError(error)
        await pause(backoffMs(backoff, ++failures), revoked)
      }
    }
    return false
  }

  function report(error: unknown, { partition, id, type }: ReadEntry, attempt: number, dead: boolean): void {
    onError(error, { partition, entryId: id, type, attempt, dead })
  }
}

const MAX_NAME_LENGTH = 64

/** The class of an error. Its message could contain personal data. */
const errorName = (error: unknown): string =>
  error instanceof Error ? error.name.slice(0, MAX_NAME_LENGTH) : `${typeof error} thrown`
