import { raceAbort } from '../async/abort.ts'
import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import { createKeyedQueue } from '../async/keyed-queue.ts'
import type { Semaphore } from '../async/semaphore.ts'
import type { TypeMatcher } from '../event-types.ts'
import { addDeadLetter, type DeadReason } from '../group/dead-letter.ts'
import { InterruptedError, MalformedEntryError } from '../group/entry-errors.ts'
import type { ReadEntry } from '../group/fenced-read.ts'
import type { PartitionReader } from '../group/partition-reader.ts'
import type { CustomerEvent } from './events.ts'
import type { ErrorContext, Handler } from './handler.ts'
import { readEntry } from './read-entry.ts'

export interface PartitionProcessorOptions {
  readonly handler: Handler
  readonly isWanted: TypeMatcher
  readonly maxAttempts: number
  readonly backoff: Backoff
  /** How many events may be with the handler at once, in all partitions together. */
  readonly slots: Semaphore
  /** Entries of one partition that may be here without being acknowledged. */
  readonly maxInFlight: number
  /** The stream of the group's dead letters. */
  readonly deadLetters: string
  readonly onError: (error: unknown, about?: ErrorContext) => void
}

interface Job {
  readonly entry: ReadEntry
  readonly event: CustomerEvent
}

/** Entries taken in one call, at most. */
const MAX_BATCH_ENTRIES = 100
/** Characters of one partition's events that may be here; one event may exceed it. */
const MAX_IN_FLIGHT_CHARACTERS = 8 * 1024 * 1024

/**
 * Works a partition until it ends: one person's events one after the other, those of different people beside each
 * other, each acknowledged once its handler has resolved.
 */
export function processPartition(options: PartitionProcessorOptions, held: PartitionReader): Promise<void> {
  const { handler, isWanted, maxAttempts, backoff, slots, maxInFlight, deadLetters, onError } = options
  const { draining: ending, revoked: signal } = held
  const lanes = createKeyedQueue<Job>(settle)
  const untried: ReadEntry[] = []
  const inFlight = { entries: 0, characters: 0, onRoom: (): void => {} }
  return work()

  async function work(): Promise<void> {
    ending.addEventListener('abort', () => inFlight.onRoom(), { once: true })
    for (;;) {
      while (!hasRoom() && !ending.aborted) await new Promise<void>(resolve => (inFlight.onRoom = resolve))
      const entries = await held.read(Math.min(MAX_BATCH_ENTRIES, maxInFlight - inFlight.entries))
      if (entries.length === 0) break
      accept(entries)
    }
    await raceAbort(signal, lanes.idle())
    // They were handed out, but nobody tried: whoever has them next begins with the first attempt.
    if (untried.length > 0 && !signal.aborted) await held.setDeliveryCount(untried, 0).catch(onError)
  }

  function hasRoom(): boolean {
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
      if (event === undefined) void setMalformedAside(entry)
      else lanes.add(event.subject ?? event.id, { entry, event })
    }
    void finish(unwanted)
  }

  async function finish(entries: readonly ReadEntry[]): Promise<void> {
    if (entries.length === 0) return
    await held.acknowledge(entries)
    for (const { event } of entries) {
      inFlight.entries--
      inFlight.characters -= event.length
    }
    if (hasRoom()) inFlight.onRoom()
  }

  /** One event, until it is handled, set aside, or left to whoever has the partition next. Never rejects. */
  async function settle({ entry, event }: Job): Promise<void> {
    let attempt = entry.deliveryCount
    // The only attempt allowed may not have begun when its member died: then there is one more.
    if (attempt >= maxAttempts && attempt > 1) {
      await die(entry, 'unfinished', new InterruptedError(attempt), attempt)
      return
    }
    let begun = false
    while (!ending.aborted) {
      if (!(await slots.take(ending))) break
      attempt++
      let error: unknown
      try {
        // Redis has counted the first when it handed the entry out.
        if (attempt > 1 && !(await count(entry, attempt))) break
        begun = true
        const context = { signal, attempt, partition: entry.partition, entryId: entry.id }
        const done = (async () => handler(event, context))().then(() => true)
        if (await raceAbort(signal, done)) void finish([entry])
        return
      } catch (thrown) {
        error = thrown
      } finally {
        slots.give()
      }
      if (attempt >= maxAttempts) {
        await die(entry, 'failed', error, attempt)
        return
      }
      tell(error, entry, attempt, false)
      await pause(backoffMs(backoff, attempt), ending)
    }
    if (!begun && entry.deliveryCount === 0) untried.push(entry)
  }

  /** Tells Redis that an attempt begins, so that it counts even if it is our last. @returns false when it is over */
  function count(entry: ReadEntry, attempt: number): Promise<boolean> {
    return persist(() => held.setDeliveryCount([entry], attempt))
  }

  function setMalformedAside(entry: ReadEntry): Promise<void> {
    return die(entry, 'malformed', new MalformedEntryError(), entry.deliveryCount)
  }

  /** First set aside, then acknowledged: see addDeadLetter. */
  async function die(entry: ReadEntry, reason: DeadReason, error: unknown, attempts: number): Promise<void> {
    const done = await persist(() =>
      addDeadLetter(held.redis, deadLetters, entry, { reason, error, attempts })
    )
    if (!done) return
    tell(error, entry, attempts, true)
    void finish([entry])
  }

  /** Does it again until Redis has heard. @returns false when it is over before that */
  async function persist(act: () => Promise<void>): Promise<boolean> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await act()
        return true
      } catch (error) {
        onError(error)
        await pause(backoffMs(backoff, ++failures), signal)
      }
    }
    return false
  }

  function tell(error: unknown, { partition, id, type }: ReadEntry, attempt: number, dead: boolean): void {
    onError(error, { partition, entryId: id, type, attempt, dead })
  }
}
