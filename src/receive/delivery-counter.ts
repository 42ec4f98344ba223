import { randomUUID } from 'node:crypto'
import { createPollingLoop } from '../async/poll.ts'
import type { UnavailableReason } from '../errors.ts'
import type { Outcome } from '../ops/outcomes.ts'
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import type { Delivery } from './delivery.ts'
import {
  ageBuckets,
  BUCKET_EXPIRY_SECONDS,
  type BucketSize,
  bucketMs,
  deliveryKeys,
  durationBuckets,
  sourceFields,
  unavailableFields
} from './delivery-stats.ts'

const addScript = loadScript(new URL('add-deliveries.lua', import.meta.url))

/** Counts deliveries in memory, and adds the counts to those of all replicas in Redis once per second. */
export interface DeliveryCounter {
  /** Counts one delivery. @param nowMs monotonic milliseconds */
  record(delivery: Delivery, outcome: Outcome, nowMs: number): void
  start(): void
  /** Adds the last counts. Never rejects. */
  stop(): Promise<void>
}

interface DeliveryCounterOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  /** Names of the configured sources. */
  readonly sources: readonly string[]
  readonly isRedisUp: () => boolean
  /** Unix milliseconds. */
  readonly now: () => number
}

const SIZES: readonly BucketSize[] = ['minute', 'quarter']
const FLUSH_MS = 1000
/** Fields per call: it takes about a millisecond of Redis. */
const FIELDS_PER_CALL = 1000
/** Fields that are kept while Redis is down, about 5 MB. Then the oldest minutes are dropped. */
const MAX_KEPT_FIELDS = 50_000

interface LastOfSource {
  /** Monotonic milliseconds; NaN before the first one since the last flush. */
  atMs: number
  outcome: Outcome
  ageSeconds: number | undefined
}

/** A call that is repeated until Redis has confirmed it. */
interface Call {
  readonly number: number
  readonly keys: readonly string[]
  readonly input: string
}

export function createDeliveryCounter(options: DeliveryCounterOptions): DeliveryCounter {
  const { redis, keyPrefix, isRedisUp, now } = options
  const keys = deliveryKeys(keyPrefix)
  const writerKey = keys.writer(randomUUID())
  const fields: string[] = []
  const bySource = new Map(options.sources.map(source => [source, indexesOf(source)]))
  const unavailable = indexes(unavailableFields, reason => `unavailable:${reason}`)
  const durations = bucketIndexes('duration', durationBuckets.count)
  const ages = bucketIndexes('age', ageBuckets.count)
  // The fields are known beforehand, so counting a delivery allocates nothing.
  const counts = new Float64Array(fields.length)
  /** By the key of their hash, oldest first. */
  const kept = new Map<string, Map<string, number>>()
  /** By source: its last delivery since the last call, as the script takes it. */
  const last = new Map<string, string>()
  let number = 0
  let unconfirmed: Call | undefined
  const loop = createPollingLoop(flush, FLUSH_MS)

  return {
    record,
    start: loop.start,
    stop: async () => {
      await loop.stop()
      await flush()
    }
  }

  function record(delivery: Delivery, outcome: Outcome, nowMs: number): void {
    const { key, reason, ageSeconds, wrongAddress } = delivery
    const source = bySource.get(delivery.source.name)
    if (source === undefined) return
    add(source.outcome[outcome])
    add(durations[durationBuckets.of(nowMs - delivery.startedMs)])
    if (outcome === 'unavailable') add(unavailable[reason as UnavailableReason])
    if (key === undefined) {
      const failure = reason as keyof typeof source.signature
      add(source.signature[failure])
      if (delivery.listed && delivery.doctor !== true) add(source.listed[failure])
      return
    }
    // They say nothing about Customer.io, which may be silent.
    if (delivery.doctor === true) return
    add(source.key[key])
    if (wrongAddress !== undefined) add(source.address[wrongAddress])
    if (outcome === 'accepted' && ageSeconds !== undefined) add(ages[ageBuckets.of(ageSeconds)])
    source.last.atMs = nowMs
    source.last.outcome = outcome
    source.last.ageSeconds = ageSeconds
  }

  function add(index: number | undefined): void {
    if (index !== undefined) counts[index] = (counts[index] ?? 0) + 1
  }

  function indexesOf(source: string) {
    const of = <Name extends string>(kind: string, names: readonly Name[]) =>
      indexes(names, name => `${kind}:${source}:${name}`)
    const none: LastOfSource = { atMs: Number.NaN, outcome: 'accepted', ageSeconds: undefined }
    return {
      outcome: of('outcome', sourceFields.outcome),
      key: of('key', sourceFields.key),
      signature: of('signature', sourceFields.signature),
      listed: of('listed', sourceFields.listed),
      address: of('address', sourceFields.address),
      last: none
    }
  }

  function indexes<Name extends string>(names: readonly Name[], fieldOf: (name: Name) => string) {
    const entries = names.map(name => [name, fields.push(fieldOf(name)) - 1])
    return Object.fromEntries(entries) as Readonly<Record<Name, number>>
  }

  function bucketIndexes(kind: string, count: number): readonly number[] {
    return Array.from({ length: count }, (_, bucket) => fields.push(`${kind}:${bucket}`) - 1)
  }

  /** Never rejects. */
  async function flush(): Promise<void> {
    collect()
    try {
      while (isRedisUp()) {
        unconfirmed ??= nextCall()
        if (unconfirmed === undefined) return
        const args = [unconfirmed.number, BUCKET_EXPIRY_SECONDS, unconfirmed.input]
        await runScript(redis, addScript, unconfirmed.keys, args)
        unconfirmed = undefined
      }
    } catch {
      // The call is repeated at the next run: Redis adds its counts once.
    }
  }

  /** Takes the counts since the last run, for the minute and the quarter of an hour that are in progress. */
  function collect(): void {
    const nowMs = now()
    for (const [index, count] of counts.entries()) {
      const field = fields[index]
      if (count === 0 || field === undefined) continue
      for (const size of SIZES) {
        const bucket = keptIn(keys.bucket(size, Math.floor(nowMs / bucketMs[size]) * bucketMs[size]))
        bucket.set(field, (bucket.get(field) ?? 0) + count)
      }
    }
    counts.fill(0)
    for (const [name, source] of bySource) {
      const { atMs, outcome, ageSeconds } = source.last
      if (Number.isNaN(atMs)) continue
      const at = Math.round(nowMs - (performance.now() - atMs))
      last.set(name, JSON.stringify({ at, outcome, ageSeconds }))
      source.last.atMs = Number.NaN
    }
    dropOldest()
  }

  function keptIn(key: string): Map<string, number> {
    const bucket = kept.get(key) ?? new Map<string, number>()
    kept.set(key, bucket)
    return bucket
  }

  function dropOldest(): void {
    let total = 0
    for (const { size } of kept.values()) total += size
    for (const [key, { size }] of kept) {
      if (total <= MAX_KEPT_FIELDS) return
      kept.delete(key)
      total -= size
    }
  }

  function nextCall(): Call | undefined {
    const hashes: string[] = []
    const added: (string | number)[][] = []
    let size = 0
    for (const [key, bucket] of kept) {
      if (size > 0 && size + bucket.size > FIELDS_PER_CALL) break
      kept.delete(key)
      hashes.push(key)
      added.push([...bucket].flat())
      size += bucket.size
    }
    if (size === 0 && last.size === 0) return undefined
    const input = JSON.stringify({ last: Object.fromEntries(last), counts: added })
    last.clear()
    number++
    return { number, keys: [writerKey, keys.last, ...hashes], input }
  }
}
