import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import { unlessOver } from '../async/race-abort.ts'
import type { TakenEntry } from './fenced-read.ts'
import { type HoldOptions, holdPartitions, type PartitionHolder } from './member.ts'
import type { HeldPartition } from './partition-reader.ts'

/**
 * Handles entries of one partition, in order. Where it rejects, it gets the same ones again.
 *
 * @param signal aborted when another member may have the partition: what is done from then on is done twice
 */
export type HandleEntries = (entries: readonly TakenEntry[], signal: AbortSignal) => Promise<void>

export interface FollowOptions extends HoldOptions {
  /** Entries handed over at once, at most. */
  readonly batchSize?: number | undefined
  /** The waits between tries. */
  readonly backoff?: Backoff | undefined
}

const DEFAULT_BATCH_SIZE = 100
const DEFAULT_BACKOFF: Backoff = { firstMs: 100, maxMs: 30_000 }

/**
 * Follows the log as a consumer group: every entry of every partition at least once, a partition's entries in
 * order and one batch at a time, acknowledged once `handle` has resolved. What a member left when it died comes
 * first to whoever has the partition next.
 */
export function followLog(options: FollowOptions, handle: HandleEntries): PartitionHolder {
  const { batchSize = DEFAULT_BATCH_SIZE, backoff = DEFAULT_BACKOFF, onError = () => {} } = options
  return holdPartitions(options, async held => {
    for (;;) {
      const entries = await held.take(batchSize)
      if (entries.length === 0) return
      if (!(await untilHandled(held, entries))) return
      await unlessOver(held.signal, held.acknowledge(entries))
    }
  })

  /** @returns false when it ends before that: then the entries are left to whoever has the partition next */
  async function untilHandled(held: HeldPartition, entries: readonly TakenEntry[]): Promise<boolean> {
    for (let failures = 0; ; ) {
      try {
        return await unlessOver(
          held.signal,
          (async () => handle(entries, held.signal))().then(() => true)
        )
      } catch (error) {
        onError(error)
      }
      await pause(backoffMs(backoff, ++failures), held.ending)
      if (held.ending.aborted) return false
    }
  }
}
