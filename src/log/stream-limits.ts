import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { createDeadLetterSearch } from './dead-letter-search.ts'
import { groupKeys, partitionKeys } from './keys.ts'
import { readPartitionCount } from './partition-count.ts'

export interface Limits {
  readonly maxAgeMs: number
  /** Bytes of Redis' memory. */
  readonly maxBytes: number
}

export interface Dropped {
  readonly what: 'parked deliveries' | 'dead letters'
  /** Whose dead letters. */
  readonly consumer: string | undefined
  readonly reason: 'age' | 'size'
  readonly entries: number
}

export interface StreamLimitsOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly partitions: number
  /** Of all parked deliveries together. */
  readonly parked: Limits
  /** Of the dead letters of one consumer. */
  readonly deadLetters: Limits
  readonly onDropped: (dropped: Dropped) => void
  readonly onError: (error: unknown) => void
}

/** Keeps what waits for people within its limits: parked deliveries and dead letters, which no consumer group reads. */
export interface StreamLimits {
  /** Drops what is beyond the limits. Any number of processes may do so at once. @throws what Redis answers */
  enforce(): Promise<void>
  /** The same at once for one stream of parked deliveries, after one was added. Never rejects. */
  enforceParked(stream: string): Promise<void>
}

/** Parked deliveries, and each consumer's dead letters, take at most a tenth of maxmemory, however small that is. */
const MAX_SHARE = 0.1
/** Entries dropped in one call, at most: Redis does nothing else meanwhile. */
const MAX_DROPS = 1000
/** Calls for one stream in one run; what is left is the next run's. */
const MAX_CALLS = 100

const limitScript = loadScript(new URL('limit.lua', import.meta.url))

export function createStreamLimits(options: StreamLimitsOptions): StreamLimits {
  const { redis, keyPrefix, partitions, parked, deadLetters, onDropped, onError } = options
  const deadLetterSearch = createDeadLetterSearch(redis, keyPrefix)
  const running = new Map<string, Promise<void>>()

  return {
    enforce: async () => {
      const announced = await readPartitionCount(redis, keyPrefix)
      for (let partition = 0; partition < announced; partition++) {
        await limitParked(partitionKeys(keyPrefix, partition).parked)
      }
      for (const consumer of await deadLetterSearch.consumers()) {
        await limit(groupKeys(keyPrefix, consumer).dead, deadLetters, 1, { what: 'dead letters', consumer })
      }
    },
    enforceParked: stream => {
      // One run at a time is enough: whatever is added meanwhile is followed by another call.
      const run = running.get(stream) ?? limitParked(stream).catch(onError)
      running.set(stream, run)
      return run.finally(() => running.delete(stream))
    }
  }

  function limitParked(stream: string): Promise<void> {
    return limit(stream, parked, partitions, { what: 'parked deliveries', consumer: undefined })
  }

  /** @param streams how many streams share the limits of size */
  async function limit(
    stream: string,
    { maxAgeMs, maxBytes }: Limits,
    streams: number,
    about: Pick<Dropped, 'what' | 'consumer'>
  ): Promise<void> {
    const args = [maxAgeMs, Math.floor(maxBytes / streams), MAX_SHARE / streams, MAX_DROPS]
    for (let calls = 0; calls < MAX_CALLS; calls++) {
      const [byAge, bySize] = (await runScript(redis, limitScript, [stream], args)) as [number, number]
      if (byAge > 0) onDropped({ ...about, reason: 'age', entries: byAge })
      if (bySize > 0) onDropped({ ...about, reason: 'size', entries: bySize })
      if (byAge + bySize === 0) return
    }
  }
}
