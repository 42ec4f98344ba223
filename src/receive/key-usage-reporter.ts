import { hostname } from 'node:os'
import { z } from 'zod'
import { createPollingLoop } from '../async/poll.ts'
import type { RedisClient } from '../redis/connect.ts'
import { serverTime } from '../redis/server-time.ts'
import type { Source } from '../settings/sources.ts'
import { parseStored } from '../stored-json.ts'
import { version } from '../version.ts'

/**
 * Where replicas report the use of signing keys, for `cio-webhook rotate`. A key appears by its id only.
 *
 * `<prefix>keys:seen`: hash, `<source>:<key id>` → Unix milliseconds of the last delivery signed with it
 * `<prefix>keys:count`: hash, the same fields → number of those deliveries
 * `<prefix>keys:replicas`: hash, one field per process → JSON `{ at, version, partitions, sources: { <source>: [key ids,
 *   current first] } }`
 */
export const usageKeys = (prefix: string) => ({
  seen: `${prefix}keys:seen`,
  count: `${prefix}keys:count`,
  replicas: `${prefix}keys:replicas`
})

export interface KeyUsageReporter {
  /** Counts an authentic delivery. Written to Redis later. */
  record(source: string, keyId: string): void
  start(): void
  /** Reports now which keys this process accepts; called when they change. Never rejects. */
  report(): Promise<void>
  /** Writes the last counts, and removes this process from the replicas. */
  stop(): Promise<void>
}

interface KeyUsageOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly sources: ReadonlyMap<string, Source>
  /** `PARTITIONS`: replicas with different numbers are a mistake. */
  readonly partitions: number
  readonly isRedisUp: () => boolean
}

const FLUSH_MS = 1000
/** How often a replica reports that it runs, and with which keys. */
const REPORT_MS = 5000
/**
 * After this long without a report, a replica counts as ended. Until then its last report is valid: a replica that is
 * too busy to report still receives deliveries, and a rotation must wait for it.
 */
const REPLICA_GONE_MS = 12 * REPORT_MS
/** A process that was killed does not remove its report. The next ones that start do, after so long. */
const REPLICA_FORGOTTEN_MS = 24 * 3_600_000

/** What a running process has reported last. */
export interface ReplicaReport {
  readonly name: string
  /** `undefined` for a replica of an older version, which does not report it. */
  readonly version: string | undefined
  /** `PARTITIONS`; `undefined` as above. */
  readonly partitions: number | undefined
  /** The ids of the keys that it accepts, by source, current first. */
  readonly keys: Readonly<Record<string, readonly string[]>>
}

const replicaSchema = z.object({
  at: z.number(),
  version: z.string().optional(),
  partitions: z.number().optional(),
  sources: z.record(z.string(), z.array(z.string()))
})

/**
 * Skips an unreadable report: a running replica replaces it within seconds.
 *
 * @param reports the hash `<prefix>keys:replicas`
 * @param nowMs by the clock of Redis, unix milliseconds
 */
export const runningReplicas = (
  reports: Readonly<Record<string, string>>,
  nowMs: number
): readonly ReplicaReport[] =>
  Object.entries(reports).flatMap(([name, text]) => {
    const report = parseStored(replicaSchema, text)
    if (report === undefined || nowMs - report.at > REPLICA_GONE_MS) return []
    const { version, partitions, sources } = report
    return { name, version, partitions, keys: sources }
  })

export function createKeyUsageReporter(options: KeyUsageOptions): KeyUsageReporter {
  const { redis, keyPrefix, sources, partitions, isRedisUp } = options
  const keys = usageKeys(keyPrefix)
  const replica = `${hostname()}:${process.pid}:${Math.random().toString(36).slice(2, 8)}`
  let counts = new Map<string, number>()
  let reportedMs = Number.NEGATIVE_INFINITY
  const loop = createPollingLoop(flushAndReport, FLUSH_MS)

  return {
    record(source, keyId) {
      const field = `${source}:${keyId}`
      counts.set(field, (counts.get(field) ?? 0) + 1)
    },
    start: () => {
      loop.runNow()
      void removeForgotten().catch(() => {}) // the next process that starts tries again
    },
    report,
    stop: async () => {
      await loop.stop()
      if (!isRedisUp()) return
      await flush().catch(() => {})
      await redis.hdel(keys.replicas, replica).catch(() => {})
    }
  }

  async function flushAndReport(): Promise<void> {
    if (!isRedisUp()) return
    await flush().catch(() => {})
    if (performance.now() - reportedMs > REPORT_MS) await report()
  }

  async function flush(): Promise<void> {
    if (counts.size === 0) return
    const flushed = counts
    counts = new Map()
    try {
      const at = await serverTime(redis)
      await redis.hset(keys.seen, Object.fromEntries([...flushed.keys()].map(field => [field, at])))
    } catch (error) {
      for (const [field, count] of flushed) counts.set(field, (counts.get(field) ?? 0) + count)
      throw error
    }
    // A rotation only needs the times above: a lost count does no harm.
    await Promise.all([...flushed].map(([field, count]) => redis.hincrby(keys.count, field, count)))
  }

  async function removeForgotten(): Promise<void> {
    if (!isRedisUp()) return
    const oldest = (await serverTime(redis)) - REPLICA_FORGOTTEN_MS
    const reports = Object.entries(await redis.hgetall(keys.replicas))
    const forgotten = reports.filter(([, text]) => (parseStored(replicaSchema, text)?.at ?? oldest) < oldest)
    if (forgotten.length > 0) await redis.hdel(keys.replicas, ...forgotten.map(([name]) => name))
  }

  async function report(): Promise<void> {
    reportedMs = Number.NEGATIVE_INFINITY // if this fails, the next run reports
    if (!isRedisUp()) return
    try {
      const at = await serverTime(redis)
      const accepted = [...sources.values()].map(source => [source.name, source.keys.map(key => key.id)])
      await redis.hset(
        keys.replicas,
        replica,
        JSON.stringify({ at, version, partitions, sources: Object.fromEntries(accepted) })
      )
      reportedMs = performance.now()
    } catch {
      // Redis does not answer.
    }
  }
}
