import { raceAbort } from '../async/abort.ts'
import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import type { ReadEntry } from './fenced-read.ts'
import { type GroupMember, joinGroup, type MemberOptions } from './member.ts'
import type { PartitionReader } from './partition-reader.ts'

/**
 * Handles entries of one partition, in order. If it rejects, it gets the same entries again.
 *
 * @param signal aborted when another member may hold the partition: entries handled after that are handled twice
 */
export type HandleEntries = (entries: readonly ReadEntry[], signal: AbortSignal) => Promise<void>

export interface BatchConsumerOptions extends MemberOptions {
  /** Entries per batch, at most. */
  readonly batchSize: number
  /** The pauses between attempts. */
  readonly backoff: Backoff
}

/**
 * Consumes the log as a member of a group: each entry at least once, the entries of a partition in order and one batch
 * at a time, acknowledged after `handle` has resolved. Pending entries of a member that crashed come first.
 */
export function consumeInBatches(options: BatchConsumerOptions, handle: HandleEntries): GroupMember {
  const { batchSize, backoff, onError = () => {} } = options
  return joinGroup(options, async reader => {
    for (;;) {
      const entries = await reader.read(batchSize)
      if (entries.length === 0) return
      if (!(await handleWithRetry(reader, entries))) return
      await raceAbort(reader.revoked, reader.acknowledge(entries))
    }
  })

  /** @returns false if it ended before that; the entries stay pending */
  async function handleWithRetry(reader: PartitionReader, entries: readonly ReadEntry[]): Promise<boolean> {
    const { draining, revoked } = reader
    for (let failures = 0; ; ) {
      try {
        const handled = (async () => handle(entries, revoked))().then(() => true)
        return await raceAbort(revoked, handled)
      } catch (error) {
        onError(error)
      }
      await pause(backoffMs(backoff, ++failures), draining)
      if (draining.aborted) return false
    }
  }
}
