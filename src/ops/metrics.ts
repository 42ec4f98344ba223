import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { ParkedReason } from '../log/log-entry.ts'
import type { LogStats } from '../log/log-stats.ts'
import type { TrimReason } from '../log/retention.ts'
import type { Dropped } from '../log/stream-limits.ts'
import type { SigningKey, Source } from '../settings/sources.ts'
import type { SignatureFailure } from './outcomes.ts'

/** What became of a delivery. */
export type Outcome =
  | 'accepted'
  | 'duplicate'
  | 'parked'
  | 'signature_invalid'
  | 'source_forbidden'
  | 'rate_limited'
  | 'too_large'
  | 'unavailable'
  /** Ended before its body was read; or too large, from an address on no list. */
  | 'aborted'

const outcomes: readonly Outcome[] = [
  'accepted',
  'duplicate',
  'parked',
  'signature_invalid',
  'source_forbidden',
  'rate_limited',
  'too_large',
  'unavailable',
  'aborted'
]

export type Metrics = ReturnType<typeof createMetrics>

export interface MetricsOptions {
  /** Names of the configured sources. */
  readonly sources: readonly string[]
  /** What is in the log, read at each scrape; rejects when Redis does not answer. */
  readonly readLog: () => Promise<readonly LogStats[]>
  /** Read at each scrape. */
  readonly isRedisUp: () => boolean
  readonly version: string
}

/**
 * The metrics of CONTRACT section 8. Every label value comes from the configuration or from a closed set, so
 * that no payload can reach one or make their number grow.
 */
export function createMetrics({ sources, readLog, isRedisUp, version }: MetricsOptions) {
  const register = new Registry()
  const registers = [register]
  collectDefaultMetrics({ register })

  const deliveries = new Counter({
    name: 'cio_deliveries_total',
    help: 'Deliveries by what became of them',
    labelNames: ['source', 'outcome'],
    registers
  })
  const signatureFailures = new Counter({
    name: 'cio_signature_failures_total',
    help: 'Deliveries that were not authentic, by reason',
    labelNames: ['source', 'reason'],
    registers
  })
  const forbiddenButAuthentic = new Counter({
    name: 'cio_forbidden_but_authentic_total',
    help: 'Authentic deliveries from addresses that are not on the list: is the list stale?',
    labelNames: ['source'],
    registers
  })
  const deliveryDuration = new Histogram({
    name: 'cio_delivery_duration_seconds',
    help: 'From the request to its answer',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3.5],
    registers
  })
  const eventAge = new Histogram({
    name: 'cio_event_age_seconds',
    help: 'From the time in the payload to its arrival',
    buckets: [1, 5, 30, 60, 300, 1800, 3600, 21_600, 86_400, 259_200, 604_800],
    registers
  })
  const redisCallDuration = new Histogram({
    name: 'cio_redis_call_duration_seconds',
    help: 'Calls that remember and append, durability included',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2],
    registers
  })
  const parked = new Counter({
    name: 'cio_parked_total',
    help: 'Authentic deliveries that are no events, by reason',
    labelNames: ['source', 'reason'],
    registers
  })
  new Gauge({
    name: 'cio_redis_up',
    help: '1 while Redis answers and is fit for use, else 0: then deliveries get 503',
    aggregator: 'min',
    registers,
    collect() {
      this.set(isRedisUp() ? 1 : 0)
    }
  })
  new Gauge({
    name: 'cio_build_info',
    help: 'Always 1; the label is the version that runs',
    labelNames: ['version'],
    aggregator: 'first',
    registers
  }).set({ version }, 1)
  const redisMemory = new Gauge({
    name: 'cio_redis_memory_used_ratio',
    help: 'Used share of maxmemory, of the fullest server; 0 without a limit. At 1 deliveries get 503',
    aggregator: 'max',
    registers
  })
  const trimmed = new Counter({
    name: 'cio_trimmed_events_total',
    help: 'Acknowledged events removed from the log, by reason: age, length, or memory (early, since Redis was filling up)',
    labelNames: ['reason'],
    registers
  })
  for (const reason of ['age', 'length', 'memory'] satisfies TrimReason[]) trimmed.inc({ reason }, 0)
  const parkedDropped = new Counter({
    name: 'cio_parked_dropped_total',
    help: 'Parked deliveries dropped because of their age or their size',
    labelNames: ['reason'],
    registers
  })
  const deadLettersDropped = new Counter({
    name: 'cio_dead_letters_dropped_total',
    help: 'Dead letters dropped because of their age or their size',
    labelNames: ['reason'],
    registers
  })
  for (const reason of ['age', 'size']) {
    parkedDropped.inc({ reason }, 0)
    deadLettersDropped.inc({ reason }, 0)
  }
  const signatureKeys = new Counter({
    name: 'cio_signature_key_total',
    help: 'Authentic deliveries by the key that matched',
    labelNames: ['source', 'key'],
    registers
  })
  const publishedAdded = new Gauge({
    name: 'cio_published_addresses_added',
    help: 'Source addresses that Customer.io publishes and that are not built in',
    aggregator: 'max',
    registers
  })
  const publishedWithdrawn = new Gauge({
    name: 'cio_published_addresses_withdrawn',
    help: 'Built-in source addresses that Customer.io publishes no longer',
    aggregator: 'max',
    registers
  })
  const publishedAt = new Gauge({
    name: 'cio_published_addresses_time_seconds',
    help: 'Unix time of the last good answer about source addresses; 0 without one',
    aggregator: 'max',
    registers
  })
  const publishedAsked = new Counter({
    name: 'cio_published_addresses_asked_total',
    help: 'Questions to Customer.io about its source addresses, by outcome',
    labelNames: ['outcome'],
    registers
  })
  for (const outcome of ['ok', 'failed']) publishedAsked.inc({ outcome }, 0)
  // Both gauges are collected at the same moment, from one reading. Redis being away must not take the other
  // metrics along, and the last reading would be a lie: then there is none.
  let reading: Promise<readonly LogStats[]> | undefined
  const readOnce = (): Promise<readonly LogStats[]> => {
    reading ??= readLog()
      .catch(() => [])
      .finally(() => {
        reading = undefined
      })
    return reading
  }
  new Gauge({
    name: 'cio_stream_length',
    help: 'Events in the log',
    labelNames: ['partition'],
    aggregator: 'max',
    registers,
    async collect() {
      this.reset()
      for (const { partition, events } of await readOnce()) this.set({ partition }, events)
    }
  })
  new Gauge({
    name: 'cio_consumer_lag',
    help: 'Events a consumer group has not been handed yet',
    labelNames: ['consumer', 'partition'],
    aggregator: 'max',
    registers,
    async collect() {
      this.reset()
      for (const { partition, groups } of await readOnce()) {
        for (const { name, lag } of groups) this.set({ consumer: name, partition }, lag)
      }
    }
  })

  // A counter's child for fixed labels skips the checks of a labelled increment on the hot path.
  const deliveryCounters = new Map(
    sources.map(source => [
      source,
      new Map(outcomes.map(outcome => [outcome, deliveries.labels({ source, outcome })]))
    ])
  )
  for (const children of deliveryCounters.values()) for (const child of children.values()) child.inc(0)
  const keyCounters = new Map(
    sources.map(source => [
      source,
      {
        current: signatureKeys.labels({ source, key: 'current' }),
        previous: signatureKeys.labels({ source, key: 'previous' })
      }
    ])
  )
  for (const { current, previous } of keyCounters.values())
    for (const child of [current, previous]) child.inc(0)
  for (const source of sources) forbiddenButAuthentic.inc({ source }, 0)

  return {
    register,
    delivery(source: string, outcome: Outcome, seconds: number): void {
      deliveryCounters.get(source)?.get(outcome)?.inc()
      deliveryDuration.observe(seconds)
    },
    signatureFailure: (source: Source, reason: SignatureFailure): void =>
      signatureFailures.inc({ source: source.name, reason }),
    signatureKey: (source: Source, key: SigningKey['label']): void =>
      keyCounters.get(source.name)?.[key].inc(),
    forbiddenButAuthentic: (source: Source): void => forbiddenButAuthentic.inc({ source: source.name }),
    parked: (source: Source, reason: ParkedReason): void => parked.inc({ source: source.name, reason }),
    eventAge: (seconds: number): void => eventAge.observe(seconds),
    publishedList(added: number, withdrawn: number, atMs: number): void {
      publishedAdded.set(added)
      publishedWithdrawn.set(withdrawn)
      publishedAt.set(atMs / 1000)
    },
    publishedListAsked: (outcome: 'ok' | 'failed'): void => publishedAsked.inc({ outcome }),
    redisMemory: (usedRatio: number): void => redisMemory.set(usedRatio),
    trimmed: (reason: TrimReason, events: number): void => trimmed.inc({ reason }, events),
    dropped: ({ what, reason, entries }: Dropped): void =>
      (what === 'dead letters' ? deadLettersDropped : parkedDropped).inc({ reason }, entries),
    redisCall: (seconds: number): void => redisCallDuration.observe(seconds)
  }
}
