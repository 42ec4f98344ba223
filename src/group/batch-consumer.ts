import { raceAbort } from '../async/abort.ts'
import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import type { ReadEntry } from './fenced-read.ts'
import { type GroupMember, joinGroup, type MemberOptions } from './member.ts'
import type { PartitionReader } from './partition-reader.ts'

/**
 * Handles entries of one partition, in order. Where it rejects, it gets the same ones again.
 *
 * @param signal aborted when another member may have the partition: what is done from then on is done twice
 */
export type HandleEntries = (entries: readonly ReadEntry[], signal: AbortSignal) => Promise<void>

export interface BatchConsumerOptions extends MemberOptions {
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
export function consumeInBatches(options: BatchConsumerOptions, handle: HandleEntries): GroupMember {
  const { batchSize = DEFAULT_BATCH_SIZE, backoff = DEFAULT_BACKOFF, onError = () => {} } = options
  return joinGroup(options, async held => {
    for (;;) {
      const entries = await held.read(batchSize)
      if (entries.length === 0) return
      if (!(await untilHandled(held, entries))) return
      await raceAbort(held.revoked, held.acknowledge(entries))
    }
  })

  /** @returns false when it ends before that: then the entries are left to whoever has the partition next */
  async function untilHandled(held: PartitionReader, entries: readonly ReadEntry[]): Promise<boolean> {
    for (let failures = 0; ; ) {
      try {
        return await raceAbort(
          held.revoked,
          (async () => handle(entries, held.revoked))().then(() => true)
        )
      } catch (error) {
        onError(error)
      }
      await pause(backoffMs(backoff, ++failures), held.draining)
      if (held.draining.aborted) return false
    }
  }
}
