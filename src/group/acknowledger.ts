// Tested by test/group/partition-reader.test.ts.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ReadEntry } from './fenced-read.ts'

/**
 * Acknowledges entries of one partition for one group. Concurrent acknowledgements share a call. It is repeated until
 * Redis confirms it, so that handled entries are not handled again because Redis was down for a moment.
 */
export interface Acknowledger {
  /** Resolves once Redis confirms it, or after `close`; never rejects. */
  acknowledge(entries: readonly ReadEntry[]): Promise<void>
  /** Whether the entry is handled, and only the confirmation of Redis is missing. */
  isUnconfirmed(entry: ReadEntry): boolean
  /** Resolves when nothing is unconfirmed, or at `close`. */
  flushed(): Promise<void>
  /** Gives up unconfirmed acknowledgements: their entries will be handled again. */
  close(): void
}

const MAX_BATCH_ENTRIES = 1000
const BACKOFF: Backoff = { firstMs: 20, maxMs: 1000 }

interface AcknowledgerOptions {
  readonly redis: RedisClient
  readonly stream: string
  readonly group: string
  readonly onError: (error: unknown) => void
}

export function createAcknowledger({ redis, stream, group, onError }: AcknowledgerOptions): Acknowledger {
  /** The event by entry id: after a failover another entry can have the same id. */
  const unconfirmed = new Map<string, string>()
  const closed = new AbortController()
  let flushing: Promise<void> | undefined

  return {
    acknowledge: async entries => {
      for (const { id, event } of entries) unconfirmed.set(id, event)
      await flushWhile(() => entries.some(isUnconfirmed))
    },
    isUnconfirmed,
    flushed: () => flushWhile(() => unconfirmed.size > 0),
    close: () => closed.abort()
  }

  async function flushWhile(isNeeded: () => boolean): Promise<void> {
    while (isNeeded() && !closed.signal.aborted) {
      flushing ??= flush()
      await flushing
    }
  }

  function isUnconfirmed({ id, event }: ReadEntry): boolean {
    return unconfirmed.get(id) === event
  }

  /** One call. Later acknowledgements get another one: while they keep coming, nobody waits for all of them. */
  async function flush(): Promise<void> {
    // Acknowledgements of the same turn of the event loop share the call.
    await nextTurn()
    for (let failures = 0; unconfirmed.size > 0 && !closed.signal.aborted; ) {
      const ids = [...unconfirmed.keys()].slice(0, MAX_BATCH_ENTRIES)
      try {
        await redis.xack(stream, group, ...ids)
        // The reply to a read that was sent before can come with this one, and has these entries as pending.
        await nextTurn()
        for (const id of ids) unconfirmed.delete(id)
        break
      } catch (error) {
        onError(error)
        await pause(backoffMs(BACKOFF, ++failures), closed.signal)
      }
    }
    flushing = undefined
  }
}
