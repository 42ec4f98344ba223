import { collectDefaultMetrics, Registry } from 'prom-client'
import { objectTypes } from '../event-types.ts'
import type { ParkedReason } from '../log/log-entry.ts'
import type { TrimReason } from '../log/retention.ts'
import type { LogStats } from '../log/stats.ts'
import type { Dropped } from '../log/stream-limits.ts'
import type { SigningKey, Source } from '../settings/sources.ts'
import { measureEventLoopLag } from './event-loop-lag.ts'
import { createExemplars } from './exemplars.ts'
import { createLastKnown } from './last-known.ts'
import { metricFactory } from './metric-factory.ts'
import { type Outcome, type SignatureFailure, type WebhookState, webhookStates } from './outcomes.ts'

export type Metrics = ReturnType<typeof createMetrics>

interface MetricsOptions {
  /** Names of the configured sources. */
  readonly sources: readonly string[]
  /** The state of the log, read at each scrape; rejects when Redis does not answer. */
  readonly readLog: () => Promise<readonly LogStats[]>
  /** EVENT_MAX_LENGTH. */
  readonly maxStreamLength: number
  /** Read at each scrape. */
  readonly isRedisUp: () => boolean
  readonly version: string
  /** Whether traces are recorded: then histograms of durations have exemplars. */
  readonly traced: boolean
  /** Unix milliseconds. */
  readonly now: () => number
}

/** prom-client samples the event loop at this interval: event-loop-lag.ts does it instead. */
const NEVER_MS = 2 ** 31 - 1
/** Customer.io gives up after 4 s; the rest is for the network (law 7). */
const LATE_SECONDS = 3.5
const storedOutcomes: ReadonlySet<Outcome> = new Set(['accepted', 'duplicate', 'parked'])

/**
 * The metrics of receiver and log: see metric-table.ts. Every label value comes from the configuration, from Redis or
 * from a closed set, so that no payload can become one or make their number grow.
 */
export function createMetrics(options: MetricsOptions) {
  const { sources, readLog, maxStreamLength, isRedisUp, version, traced, now } = options
  const register = new Registry()
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: NEVER_MS })
  const stop = measureEventLoopLag(register)
  const { counter, gauge, histogram } = metricFactory(register, sources)

  const deliveries = counter('cio_deliveries_total')
  const lateDeliveries = counter('cio_deliveries_late_total')
  const deliveryDuration = histogram('cio_delivery_duration_seconds')
  const signatureFailures = counter('cio_signature_failures_total')
  const signatureKeys = counter('cio_signature_key_total')
  const forbiddenButAuthentic = counter('cio_forbidden_but_authentic_total')
  const parked = counter('cio_parked_total')
  const parkedDropped = counter('cio_parked_dropped_total')
  const deadLettersDropped = counter('cio_dead_letters_dropped_total')
  const trimmed = counter('cio_trimmed_events_total')
  const eventAge = histogram('cio_event_age_seconds')
  const redisCallDuration = histogram('cio_redis_call_duration_seconds')
  const redisMemory = gauge('cio_redis_memory_used_ratio')
  const publishedAdded = gauge('cio_published_addresses_added')
  const publishedWithdrawn = gauge('cio_published_addresses_withdrawn')
  const publishedAt = gauge('cio_published_addresses_time_seconds')
  const publishedAsked = counter('cio_published_addresses_asked_total')
  const missingEvents = gauge('cio_missing_events')
  const reportingWebhook = gauge('cio_reporting_webhook')
  gauge('cio_redis_up', redisUp => redisUp.set(isRedisUp() ? 1 : 0))
  gauge('cio_build_info').set({ version }, 1)
  gauge('cio_stream_max_length').set(maxStreamLength)

  const exemplars = traced ? createExemplars(register, now) : undefined

  const logStats = createLastKnown(readLog)
  gauge('cio_stream_length', async streamLength => {
    for (const { partition, events } of await logStats.read()) streamLength.set({ partition }, events)
  })
  gauge('cio_consumer_lag', async consumerLag => {
    for (const { partition, groups } of await logStats.read()) {
      for (const { name, lag } of groups) consumerLag.set({ consumer: name, partition }, lag)
    }
  })

  return {
    register,
    stop,
    /** @param traceId of a recorded delivery */
    delivery(source: string, outcome: Outcome, seconds: number, traceId?: string): void {
      deliveries.inc({ source, outcome })
      deliveryDuration.observe(seconds)
      if (traceId !== undefined) exemplars?.observe('cio_delivery_duration_seconds', seconds, traceId)
      if (seconds > LATE_SECONDS && storedOutcomes.has(outcome)) lateDeliveries.inc({ source })
    },
    signatureFailure: (source: Source, reason: SignatureFailure): void =>
      signatureFailures.inc({ source: source.name, reason }),
    signatureKey: (source: Source, key: SigningKey['label']): void =>
      signatureKeys.inc({ source: source.name, key }),
    forbiddenButAuthentic: (source: Source): void => forbiddenButAuthentic.inc({ source: source.name }),
    parked: (source: Source, reason: ParkedReason): void => parked.inc({ source: source.name, reason }),
    eventAge: (seconds: number): void => eventAge.observe(seconds),
    publishedList(added: number, withdrawn: number, atMs: number): void {
      publishedAdded.set(added)
      publishedWithdrawn.set(withdrawn)
      publishedAt.set(atMs / 1000)
    },
    publishedListAsked: (outcome: 'ok' | 'failed'): void => publishedAsked.inc({ outcome }),
    /** Replaces all states. */
    webhooks(checks: readonly { readonly source: string; readonly state: WebhookState }[]): void {
      reportingWebhook.reset()
      for (const { source, state } of checks) {
        for (const each of webhookStates)
          reportingWebhook.set({ source, state: each }, each === state ? 1 : 0)
      }
    },
    /** By object type. */
    missingEvents(missing: Readonly<Record<string, number>>): void {
      for (const type of [...objectTypes, 'unknown']) {
        missingEvents.set({ object_type: type }, missing[type] ?? 0)
      }
    },
    redisMemory: (usedRatio: number): void => redisMemory.set(usedRatio),
    trimmed: (reason: TrimReason, events: number): void => trimmed.inc({ reason }, events),
    dropped: ({ what, reason, entries }: Dropped): void =>
      (what === 'dead letters' ? deadLettersDropped : parkedDropped).inc({ reason }, entries),
    /** @param traceId of a recorded delivery that the call was for */
    redisCall(seconds: number, traceId: string | undefined): void {
      redisCallDuration.observe(seconds)
      if (traceId !== undefined) exemplars?.observe('cio_redis_call_duration_seconds', seconds, traceId)
    }
  }
}
