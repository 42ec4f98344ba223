import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import { compareIds } from '../log/read-range.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { Acknowledger } from './acknowledger.ts'
import { EntriesDeletedError } from './entry-errors.ts'
import { type FencedReadOptions, fencedRead, type ReadEntry, setDeliveryCount } from './fenced-read.ts'
import type { StreamWaiter } from './stream-waiter.ts'

/** Reads a partition while this member holds its lease. */
export interface PartitionReader {
  readonly partition: number
  /** The member's connection. Blocking commands never use it. */
  readonly redis: RedisClient
  /** Aborted when no more entries are read, and work in flight should finish. */
  readonly draining: AbortSignal
  /** Aborted when the lease is lost, or the time to finish is over. Another member gets the unacknowledged entries. */
  readonly revoked: AbortSignal
  /**
   * The next entries in order, at most `count`, and fewer if they are large: first the pending ones of all members, then
   * new ones. Waits until there are some. Empty only while draining. Never rejects.
   */
  read(count: number): Promise<readonly ReadEntry[]>
  /** Resolves once Redis confirms it. Never rejects. */
  acknowledge(entries: readonly ReadEntry[]): Promise<void>
  /** Sets the `deliveryCount` that the next reader of these entries gets. @throws the error of Redis */
  setDeliveryCount(entries: readonly ReadEntry[], count: number): Promise<void>
}

interface PartitionReaderOptions extends FencedReadOptions {
  /** Called after a read found the lease lost. @returns whether it is ours again; otherwise `revoked` is aborted */
  readonly renewLease: () => Promise<boolean>
  readonly acknowledger: Acknowledger
  readonly waiter: StreamWaiter
  readonly draining: AbortSignal
  readonly revoked: AbortSignal
  readonly onError: (error: unknown) => void
}

const BACKOFF: Backoff = { firstMs: 20, maxMs: 1000 }

export function createPartitionReader(options: PartitionReaderOptions): PartitionReader {
  const { partition, redis, acknowledger, waiter, draining, revoked, onError } = options
  /** The event of entries that were read and not acknowledged, by entry id. */
  const inFlight = new Map<string, string>()
  /** The last pending entry that was read; `undefined` once all were. */
  let cursor: string | undefined = '0-0'
  /** Of all entries that were read. */
  let newest = '0-0'
  let failures = 0

  return {
    partition,
    redis,
    draining,
    revoked,
    read: async count => {
      while (!draining.aborted) {
        try {
          const entries = await readSome(count)
          failures = 0
          if (entries.length > 0) return entries
        } catch (error) {
          if (draining.aborted) break
          onError(error)
          // If only the reply was lost, the entries were delivered and are pending.
          cursor = '0-0'
          await pause(backoffMs(BACKOFF, ++failures), draining)
        }
      }
      return []
    },
    acknowledge: async entries => {
      const acknowledged = acknowledger.acknowledge(entries)
      // Now the acknowledger knows them. An operator can make them pending again before `acknowledged` resolves.
      for (const { id } of entries) inFlight.delete(id)
      await acknowledged
    },
    setDeliveryCount: (entries, count) => setDeliveryCount(options, entries, count)
  }

  async function readSome(count: number): Promise<readonly ReadEntry[]> {
    const from = cursor === undefined ? { newAfter: newest } : { pendingAfter: cursor }
    const result = await fencedRead(options, count, from)
    if (result.state === 'lease_lost' || result.state === 'pending_changed') {
      // A lost lease expired unnoticed, or Redis was emptied. A holder in between may have left pending entries.
      if (result.state === 'pending_changed' || (await options.renewLease())) cursor = '0-0'
      return []
    }
    const { state, entries, deletedCount } = result
    if (deletedCount > 0) onError(new EntriesDeletedError(deletedCount))
    const last = entries.at(-1)?.id ?? newest
    // Not so after the position of the group was set back.
    if (compareIds(last, newest) > 0) newest = last
    if (state === 'pending') cursor = result.cursor === '' ? undefined : result.cursor
    else if (entries.length === 0) await waiter.waitForNewer(result.cursor)

    const unconfirmed = entries.filter(acknowledger.isUnconfirmed)
    if (unconfirmed.length > 0) void acknowledger.acknowledge(unconfirmed)
    const fresh = entries.filter(
      entry => !acknowledger.isUnconfirmed(entry) && inFlight.get(entry.id) !== entry.event
    )
    for (const { id, event } of fresh) inFlight.set(id, event)
    return fresh
  }
}
