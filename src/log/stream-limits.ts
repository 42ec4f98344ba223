import type { Redis } from 'ioredis'
import { runAll } from '../async/run-all.ts'
import { mastersOf, type RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { groupKeys, type PartitionKeys } from './keys.ts'
import { publishedPartitions } from './partition.ts'
import { groupsOf } from './stats.ts'

interface Limits {
  readonly maxAgeMs: number
  /** Bytes of memory in Redis. */
  readonly maxBytes: number
}

export interface Dropped {
  readonly what: 'parked deliveries' | 'dead letters'
  /** The consumer of the dead letters. */
  readonly consumer: string | undefined
  readonly reason: 'age' | 'size'
  readonly entries: number
}

export interface StreamLimitsOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly partitions: number
  /** For all parked deliveries together. */
  readonly parked: Limits
  /** For the dead letters of each consumer. */
  readonly deadLetters: Limits
  readonly onDropped: (dropped: Dropped) => void
  readonly onError: (error: unknown) => void
}

/** Enforces the limits of the streams that no consumer group reads: parked deliveries and dead letters. */
export interface StreamLimits {
  /**
   * Drops entries beyond the limits. Several processes may do so at the same time.
   *
   * @throws the first error of Redis, after all streams that can be reached
   */
  enforce(): Promise<void>
  /** Does the same at once for one stream of parked deliveries, after one was added. Never rejects. */
  enforceParked(stream: string): Promise<void>
}

/** Parked deliveries, and the dead letters of each consumer, use at most a tenth of maxmemory. */
const MAX_SHARE = 0.1
/** Entries dropped per call, at most: Redis is blocked meanwhile. */
const MAX_DROPS = 1000
/** Calls per stream and run; the next run continues. */
const MAX_CALLS = 100
/** Dead letters of a removed group do not grow, so they may be found late. A search takes about 1 s per million keys. */
const SEARCH_INTERVAL_MS = 60 * 60 * 1000
const PAGE_KEYS = 1000

const limitScript = loadScript(new URL('limit.lua', import.meta.url))

export function createStreamLimits(options: StreamLimitsOptions): StreamLimits {
  const { redis, keyPrefix, partitions, parked, deadLetters, onDropped, onError } = options
  const running = new Map<string, Promise<void>>()
  /** Consumers whose dead letters the last search found. */
  const found = new Set<string>()
  let searchedAtMs = Number.NEGATIVE_INFINITY

  return {
    enforce: async () => {
      const published = await publishedPartitions(redis, keyPrefix)
      const consumers = new Set<string>()
      await runAll([
        ...published.map(keys => () => limitParked(keys.parked)),
        () => findConsumers(published, consumers),
        () => runAll([...consumers].map(consumer => () => limitDeadLetters(consumer)))
      ])
    },
    enforceParked: stream => {
      // One run at a time is enough: each delivery that is added meanwhile is followed by another call.
      const run = running.get(stream) ?? limitParked(stream).catch(onError)
      running.set(stream, run)
      return run.finally(() => running.delete(stream))
    }
  }

  /** Adds every group of the log, and removed groups that left dead letters. */
  function findConsumers(partitions: readonly PartitionKeys[], consumers: Set<string>): Promise<void> {
    return runAll([
      ...partitions.map(({ events }) => async () => {
        for (const { name } of await groupsOf(redis, events)) consumers.add(name)
      }),
      searchIfDue,
      async () => {
        for (const name of found) consumers.add(name)
      }
    ])
  }

  async function searchIfDue(): Promise<void> {
    if (performance.now() - searchedAtMs <= SEARCH_INTERVAL_MS) return
    searchedAtMs = performance.now() // also if it fails: it is expensive
    found.clear()
    await runAll(mastersOf(redis).map(node => () => searchDeadLetters(node)))
  }

  async function searchDeadLetters(node: Redis): Promise<void> {
    const prefix = groupKeys(keyPrefix, '').dead
    // A key prefix has no characters with a meaning in a pattern.
    for await (const page of node.scanStream({ match: `${prefix}*`, count: PAGE_KEYS, type: 'stream' })) {
      for (const key of page as string[]) found.add(key.slice(prefix.length))
    }
  }

  function limitDeadLetters(consumer: string): Promise<void> {
    return limit(groupKeys(keyPrefix, consumer).dead, deadLetters, 1, { what: 'dead letters', consumer })
  }

  function limitParked(stream: string): Promise<void> {
    return limit(stream, parked, partitions, { what: 'parked deliveries', consumer: undefined })
  }

  /** @param streams number of streams that share the size limit */
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
