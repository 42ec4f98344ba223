import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ReadEntry } from './fenced-read.ts'

/**
 * Acknowledges entries of one partition for one group, those of one moment in one call, until Redis has heard:
 * what is done is not done again because Redis was away when we said so.
 */
export interface Acknowledger {
  /** Resolves once Redis knows; never rejects. */
  acknowledge(entries: readonly ReadEntry[]): Promise<void>
  /** Is it done, and only Redis does not know yet? */
  isUnconfirmed(entry: ReadEntry): boolean
  /** Resolves when nothing waits any more, or at `close`. */
  flushed(): Promise<void>
  /** Gives up what still waits: it will be handled again. */
  close(): void
}

const MAX_BATCH_ENTRIES = 1000
const BACKOFF: Backoff = { firstMs: 20, maxMs: 1000 }

export interface AcknowledgerOptions {
  readonly redis: RedisClient
  readonly stream: string
  readonly group: string
  readonly onError: (error: unknown) => void
}

export function createAcknowledger({ redis, stream, group, onError }: AcknowledgerOptions): Acknowledger {
  /** By id, what it was: after a failover another entry may have come to the same id. */
  const waiting = new Map<string, string>()
  const closed = new AbortController()
  let flushing: Promise<void> | undefined

  return {
    acknowledge: async entries => {
      for (const { id, event } of entries) waiting.set(id, event)
      while (entries.some(isWaiting) && !closed.signal.aborted) {
        flushing ??= flush()
        await flushing
      }
    },
    isUnconfirmed: isWaiting,
    flushed: async () => {
      await flushing
    },
    close: () => closed.abort()
  }

  function isWaiting({ id, event }: ReadEntry): boolean {
    return waiting.get(id) === event
  }

  async function flush(): Promise<void> {
    // What else is done in this turn of the event loop goes along.
    await new Promise(resolve => setImmediate(resolve))
    for (let failures = 0; waiting.size > 0 && !closed.signal.aborted; ) {
      const ids = [...waiting.keys()].slice(0, MAX_BATCH_ENTRIES)
      try {
        await redis.xack(stream, group, ...ids)
        for (const id of ids) waiting.delete(id)
        failures = 0
      } catch (error) {
        onError(error)
        await pause(backoffMs(BACKOFF, ++failures), closed.signal)
      }
    }
    flushing = undefined
  }
}
