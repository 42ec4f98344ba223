import { hostname } from 'node:os'
import { createPollingLoop } from '../async/poll.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { Source } from '../settings/sources.ts'

/**
 * What the replicas tell each other, and `cio-webhook rotate`, about signing keys. A key appears by its id only.
 *
 * `<prefix>keys:seen`: hash, `<source>:<key id>` → Unix milliseconds of the last delivery that it has signed
 * `<prefix>keys:count`: hash, the same fields → number of those deliveries
 * `<prefix>keys:replicas`: hash, one field a process → JSON `{ at, sources: { <source>: [key ids, current first] } }`
 */
export const usageKeys = (prefix: string) => ({
  seen: `${prefix}keys:seen`,
  count: `${prefix}keys:count`,
  replicas: `${prefix}keys:replicas`
})

export interface KeyUsageReporter {
  /** An authentic delivery: only notes it, Redis is told later. */
  seen(source: string, keyId: string): void
  start(): void
  /** Tells at once which keys this process takes; called when they change. Never rejects. */
  report(): Promise<void>
  /** Tells the rest, and that this process is gone. */
  stop(): Promise<void>
}

export interface KeyUsageOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly sources: ReadonlyMap<string, Source>
  readonly isRedisUp: () => boolean
}

const FLUSH_MS = 1000
/** A replica says that it lives, and with which keys, this often. */
const REPORT_MS = 5000
/**
 * One that was silent for this long is gone. Until then it counts with what it said last: a replica that is too
 * busy to report still takes deliveries, and a rotation must wait for it.
 */
export const REPLICA_GONE_MS = 12 * REPORT_MS

export function createKeyUsageReporter({
  redis,
  keyPrefix,
  sources,
  isRedisUp
}: KeyUsageOptions): KeyUsageReporter {
  const keys = usageKeys(keyPrefix)
  const replica = `${hostname()}:${process.pid}:${Math.random().toString(36).slice(2, 8)}`
  let counts = new Map<string, number>()
  let reportedMs = Number.NEGATIVE_INFINITY
  const loop = createPollingLoop(tick, FLUSH_MS)

  return {
    seen(source, keyId) {
      const field = `${source}:${keyId}`
      counts.set(field, (counts.get(field) ?? 0) + 1)
    },
    start: loop.runNow,
    report,
    stop: async () => {
      await loop.stop()
      if (!isRedisUp()) return
      await flush().catch(() => {})
      await redis.hdel(keys.replicas, replica).catch(() => {})
    }
  }

  async function tick(): Promise<void> {
    if (!isRedisUp()) return
    await flush().catch(() => {})
    if (performance.now() - reportedMs > REPORT_MS) await report()
  }

  async function flush(): Promise<void> {
    if (counts.size === 0) return
    const taken = counts
    counts = new Map()
    try {
      const at = await serverTimeMs()
      await redis.hset(keys.seen, Object.fromEntries([...taken.keys()].map(field => [field, at])))
    } catch (error) {
      for (const [field, count] of taken) counts.set(field, (counts.get(field) ?? 0) + count)
      throw error
    }
    // Only when a key was last seen decides anything: a count that gets lost is no loss.
    await Promise.all([...taken].map(([field, count]) => redis.hincrby(keys.count, field, count)))
  }

  async function report(): Promise<void> {
    reportedMs = Number.NEGATIVE_INFINITY // A report that fails is made up for at the next tick.
    if (!isRedisUp()) return
    try {
      const at = await serverTimeMs()
      const held = [...sources.values()].map(source => [source.name, source.keys.map(key => key.id)])
      await redis.hset(keys.replicas, replica, JSON.stringify({ at, sources: Object.fromEntries(held) }))
      reportedMs = performance.now()
    } catch {
      // Redis is away: the next tick tries again.
    }
  }

  /** Replicas' clocks differ, Redis has one. */
  async function serverTimeMs(): Promise<number> {
    return serverTime(redis)
  }
}

/** Unix milliseconds by the clock of Redis (of one node, where there are several). */
export async function serverTime(redis: RedisClient): Promise<number> {
  const [seconds, microseconds] = await redis.time()
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}
