// Tested by test/receive/delivery-counter.slow.test.ts.
import { z } from 'zod'
import { UNAVAILABLE_REASONS } from '../errors.ts'
import { deliveryOutcomes, type Outcome, signatureFailures } from '../ops/outcomes.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { SigningKey } from '../settings/sources.ts'
import { parseStored } from '../stored-json.ts'
import { logBuckets, quantileOf } from './log-buckets.ts'

/**
 * Counts of the deliveries of all replicas, in hashes per minute and per quarter of an hour. Written by
 * delivery-counter.ts. All keys share a hash tag, so that one call can use them on a Cluster.
 *
 * `<prefix>{deliveries}:minute:<start>`, `<prefix>{deliveries}:quarter:<start>`: hash; `<start>` in Unix seconds
 * `<prefix>{deliveries}:last`: hash, source → JSON `{ at, outcome, ageSeconds }` of its last authentic delivery
 * `<prefix>{deliveries}:writer:<process>`: string, the number of the last counts that a process added
 */
export const deliveryKeys = (prefix: string) => ({
  bucket: (size: BucketSize, startMs: number) => `${prefix}{deliveries}:${size}:${startMs / 1000}`,
  last: `${prefix}{deliveries}:last`,
  writer: (writer: string) => `${prefix}{deliveries}:writer:${writer}`
})

export type BucketSize = 'minute' | 'quarter'
export const bucketMs: Readonly<Record<BucketSize, number>> = { minute: 60_000, quarter: 15 * 60_000 }
/** A day, and the bucket in progress at both ends. */
export const BUCKET_EXPIRY_SECONDS = 25 * 60 * 60

/** The duration of a delivery in milliseconds: up to the deadline, and some more. */
export const durationBuckets = logBuckets(0.05, 10_000)
/** The age of an event in seconds: Customer.io retries for 7 days. */
export const ageBuckets = logBuckets(0.01, 8 * 24 * 3600)

/** The variable that is probably wrong if authentic deliveries come from an address that is not allowed. */
export type AddressVariable = 'TRUSTED_PROXIES' | 'CIO_ALLOWED_IPS'

/**
 * The parts of a field's name, `<kind>:<value>` or `<kind>:<source>:<value>`. Names of sources come from the
 * configuration, everything else from these closed sets (law 4).
 */
export const sourceFields = {
  outcome: deliveryOutcomes,
  /** The signing key of an authentic delivery. */
  key: ['current', 'previous'] satisfies readonly SigningKey['label'][],
  /** Why a delivery was not authentic. */
  signature: signatureFailures,
  /** The same, only deliveries from listed addresses. */
  listed: signatureFailures,
  /** Authentic deliveries from an address that is not allowed. */
  address: ['TRUSTED_PROXIES', 'CIO_ALLOWED_IPS'] satisfies readonly AddressVariable[]
} as const
/** Why a delivery was answered with 503. */
export const unavailableFields = [...UNAVAILABLE_REASONS, 'no_memory'] as const

type SourceField = keyof typeof sourceFields
type Counts<Name extends string> = Readonly<Partial<Record<Name, number>>>

export interface SourceStats {
  readonly outcomes: Counts<Outcome>
  readonly keys: Counts<(typeof sourceFields.key)[number]>
  readonly signatureFailures: Counts<(typeof sourceFields.signature)[number]>
  readonly listedFailures: Counts<(typeof sourceFields.listed)[number]>
  /** Authentic, but from an address that is not allowed: by the variable that is probably wrong. */
  readonly wrongAddress: Counts<AddressVariable>
}

/** The last authentic delivery of a source. */
export interface LastDelivery {
  /** Unix milliseconds. */
  readonly atMs: number
  readonly outcome: Outcome
  /** From the time in the payload to the arrival; `undefined` if the payload has none. */
  readonly ageSeconds: number | undefined
}

export interface DeliveryRow {
  /** Start of the row, in Unix milliseconds. */
  readonly fromMs: number
  readonly outcomes: Counts<Outcome>
  readonly durationMs: Quantiles | undefined
}

export interface Quantiles {
  readonly p50: number
  readonly p99: number
}

export interface DeliveryStats {
  /** The range that was read, in whole rows. */
  readonly fromMs: number
  readonly toMs: number
  /** The length of a row: a minute for up to two hours, else a quarter of an hour. */
  readonly rowMs: number
  readonly outcomes: Counts<Outcome>
  readonly sources: ReadonlyMap<string, SourceStats>
  readonly unavailable: Counts<(typeof unavailableFields)[number]>
  /** Time until the answer; `undefined` without deliveries. */
  readonly durationMs: Quantiles | undefined
  /** Age of accepted events when they arrived, in seconds. */
  readonly eventAgeSeconds: Quantiles | undefined
  readonly rows: readonly DeliveryRow[]
}

const MAX_MINUTES_MS = 2 * 60 * 60 * 1000

/**
 * Reads the counts of all replicas. The range is extended to whole rows; what is older than a day has expired.
 *
 * @param range in Unix milliseconds
 * @throws the error of Redis
 */
export async function readDeliveryStats(
  redis: RedisClient,
  keyPrefix: string,
  range: { readonly fromMs: number; readonly toMs: number }
): Promise<DeliveryStats> {
  const size: BucketSize = range.toMs - range.fromMs <= MAX_MINUTES_MS ? 'minute' : 'quarter'
  const rowMs = bucketMs[size]
  const toMs = Math.ceil(range.toMs / rowMs) * rowMs
  const oldestMs = toMs - BUCKET_EXPIRY_SECONDS * 1000
  const fromMs = Math.max(Math.floor(range.fromMs / rowMs), Math.ceil(oldestMs / rowMs)) * rowMs
  const starts = Array.from({ length: Math.max(0, (toMs - fromMs) / rowMs) }, (_, n) => fromMs + n * rowMs)
  const keys = deliveryKeys(keyPrefix)
  const pipeline = redis.pipeline()
  for (const startMs of starts) pipeline.hgetall(keys.bucket(size, startMs))
  const hashes = resultsOf((await pipeline.exec()) ?? [])

  const total = createSums()
  // The same names are in every row: splitting them once saves most of the time.
  const parts = new Map<string, readonly string[]>()
  const partsOf = (field: string): readonly string[] => entry(parts, field, () => field.split(':'))
  const rows = hashes.map((hash, index) => {
    const row = createSums()
    for (const field in hash) {
      const count = Number(hash[field])
      const names = partsOf(field)
      total.add(names, count)
      if (names[0] === 'outcome' || names[0] === 'duration') row.add(names, count)
    }
    return { fromMs: starts[index] ?? 0, outcomes: row.outcomes, durationMs: row.duration() }
  })
  return {
    fromMs,
    toMs,
    rowMs,
    outcomes: total.outcomes,
    sources: total.sources(),
    unavailable: total.named('unavailable'),
    durationMs: total.duration(),
    eventAgeSeconds: total.age(),
    rows
  }
}

function resultsOf(replies: readonly (readonly [error: Error | null, reply: unknown])[]) {
  return replies.map(([error, reply]) => {
    if (error !== null) throw error
    return reply as Readonly<Record<string, string>>
  })
}

const lastSchema = z
  .object({ at: z.number(), outcome: z.enum(deliveryOutcomes), ageSeconds: z.number().optional() })
  .transform(({ at, outcome, ageSeconds }) => ({ atMs: at, outcome, ageSeconds }))

/** The last authentic delivery of each source that ever had one. @throws the error of Redis */
export async function readLastDeliveries(
  redis: RedisClient,
  keyPrefix: string
): Promise<ReadonlyMap<string, LastDelivery>> {
  const hash = await redis.hgetall(deliveryKeys(keyPrefix).last)
  return new Map(
    Object.entries(hash).flatMap(([source, text]) => {
      const last = parseStored(lastSchema, text)
      return last === undefined ? [] : [[source, last]]
    })
  )
}

/** Adds up fields by their names. */
function createSums() {
  const outcomes: Partial<Record<Outcome, number>> = {}
  const bySource = new Map<string, Map<string, Record<string, number>>>()
  const byKind = new Map<string, Record<string, number>>()
  const counts = (kind: SourceField, source: string) => bySource.get(source)?.get(kind) ?? {}
  return {
    outcomes,
    /** @param names the parts of the name of a field */
    add([kind = '', first = '', value]: readonly string[], count: number): void {
      const kinds = value === undefined ? byKind : entry(bySource, first, () => new Map())
      const sums = entry(kinds, kind, () => ({}))
      increase(sums, value ?? first, count)
      if (kind === 'outcome' && value !== undefined) increase(outcomes, value, count)
    },
    named: (kind: string): Record<string, number> => byKind.get(kind) ?? {},
    sources: (): ReadonlyMap<string, SourceStats> =>
      new Map(
        [...bySource.keys()].map(source => [
          source,
          {
            outcomes: counts('outcome', source),
            keys: counts('key', source),
            signatureFailures: counts('signature', source),
            listedFailures: counts('listed', source),
            wrongAddress: counts('address', source)
          }
        ])
      ),
    duration: () => quantiles(durationBuckets, byKind.get('duration')),
    age: () => quantiles(ageBuckets, byKind.get('age'))
  }
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, create: () => Value): Value {
  const known = map.get(key)
  if (known !== undefined) return known
  const created = create()
  map.set(key, created)
  return created
}

function increase(counts: Record<string, number>, name: string, count: number): void {
  counts[name] = (counts[name] ?? 0) + count
}

function quantiles(
  buckets: typeof durationBuckets,
  byName: Record<string, number> | undefined
): Quantiles | undefined {
  const counts = new Map(Object.entries(byName ?? {}).map(([bucket, count]) => [Number(bucket), count]))
  const [p50, p99] = [quantileOf(buckets, counts, 0.5), quantileOf(buckets, counts, 0.99)]
  return p50 === undefined || p99 === undefined ? undefined : { p50, p99 }
}
