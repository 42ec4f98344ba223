import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { Acknowledger } from './acknowledger.ts'
import { EntriesDeletedError } from './entry-errors.ts'
import { type FencedReadOptions, fencedRead, type ReadEntry, setDeliveryCount } from './fenced-read.ts'
import type { StreamWaiter } from './stream-waiter.ts'

/** A partition while this member holds its lease: the one way by which entries come to a group. */
export interface PartitionReader {
  readonly partition: number
  /** The member's connection, which nothing blocks. */
  readonly redis: RedisClient
  /** Aborted when nothing more is to be taken, and what is under way is to be finished. */
  readonly draining: AbortSignal
  /** Aborted when it is over: the lease is lost, or the time to finish has passed. Others take what is left. */
  readonly revoked: AbortSignal
  /**
   * The next entries in order: first those that were left unacknowledged, whoever had them, then new ones. Waits
   * until there are some. Empty only once it is `ending`. Never rejects.
   */
  read(count: number): Promise<readonly ReadEntry[]>
  /** Resolves once Redis knows. Never rejects. */
  acknowledge(entries: readonly ReadEntry[]): Promise<void>
  /** Sets what whoever takes the entries over will find as `deliveryCount`. @throws what Redis answers */
  setDeliveryCount(entries: readonly ReadEntry[], count: number): Promise<void>
}

export interface PartitionReaderOptions extends FencedReadOptions {
  readonly lease: FencedReadOptions['lease'] & {
    /** Asked when a call found that the lease is no longer ours. @returns false when that is so, and all is over */
    readonly keep: () => Promise<boolean>
  }
  readonly acknowledger: Acknowledger
  readonly wakeUp: StreamWaiter
  readonly ending: AbortSignal
  readonly signal: AbortSignal
  readonly onError: (error: unknown) => void
}

const BACKOFF: Backoff = { firstMs: 20, maxMs: 1000 }

export function createPartitionReader(options: PartitionReaderOptions): PartitionReader {
  const { acknowledger, wakeUp, ending, signal, onError } = options
  /** Taken and not acknowledged, by id: what it was. */
  const underWay = new Map<string, string>()
  /** Where to go on among those left; `undefined` once they are all taken. */
  let after: string | undefined = '0-0'
  let failures = 0

  return {
    partition: options.partition,
    redis: options.redis,
    draining: ending,
    revoked: signal,
    read: async count => {
      while (!ending.aborted) {
        try {
          const entries = await takeSome(count)
          failures = 0
          if (entries.length > 0) return entries
        } catch (error) {
          if (ending.aborted) break
          onError(error)
          // The call may have been done and its answer lost: then what it took is among those left.
          after = '0-0'
          await pause(backoffMs(BACKOFF, ++failures), ending)
        }
      }
      return []
    },
    acknowledge: async entries => {
      await acknowledger.acknowledge(entries)
      for (const { id } of entries) underWay.delete(id)
    },
    setDeliveryCount: (entries, count) => setDeliveryCount(options, entries, count)
  }

  async function takeSome(count: number): Promise<readonly ReadEntry[]> {
    const taken = await fencedRead(options, count, after)
    if (taken.state === 'lost') {
      // It is gone with a Redis that was wiped, or ran out unnoticed: whoever had it meanwhile may have left some.
      if (await options.lease.keep()) after = '0-0'
      return []
    }
    if (taken.state === 'again') {
      after = '0-0'
      return []
    }
    if (taken.gone > 0) onError(new EntriesDeletedError(taken.gone))
    if (taken.state === 'left') after = taken.mark === '' ? undefined : taken.mark
    else if (taken.entries.length === 0) await wakeUp.waitForNewer(taken.mark)

    const done = taken.entries.filter(acknowledger.isUnconfirmed)
    if (done.length > 0) void acknowledger.acknowledge(done)
    const fresh = taken.entries.filter(
      entry => !acknowledger.isUnconfirmed(entry) && underWay.get(entry.id) !== entry.event
    )
    for (const { id, event } of fresh) underWay.set(id, event)
    return fresh
  }
}
