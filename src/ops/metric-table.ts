// Every metric of this service. Tested by test/ops/metrics.test.ts and test/dispatch/dispatcher.test.ts.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { attemptOutcomes, deliveryOutcomes } from './outcomes.ts'

/**
 * The values of a label that exist from the start: a closed set, or `configured` (names of sources or consumers). Then
 * each series starts at 0. A label with the values `observed` gets them later, from a closed set or from Redis.
 */
type LabelValues = readonly string[] | 'configured' | 'observed'

interface Declaration {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels?: Readonly<Record<string, LabelValues>>
  /** How the values of several workers are combined. Default: their sum. */
  readonly aggregator?: 'max' | 'min' | 'first'
  readonly buckets?: number[]
}

export const metricTable = {
  cio_deliveries_total: {
    kind: 'counter',
    help: 'Deliveries by outcome',
    labels: { source: 'configured', outcome: deliveryOutcomes }
  },
  cio_signature_failures_total: {
    kind: 'counter',
    help: 'Deliveries without a valid signature, by reason',
    labels: { source: 'configured', reason: 'observed' }
  },
  cio_forbidden_but_authentic_total: {
    kind: 'counter',
    help: 'Authentic deliveries from addresses that are not allowed: the list of addresses may be outdated',
    labels: { source: 'configured' }
  },
  cio_signature_key_total: {
    kind: 'counter',
    help: 'Authentic deliveries by the signing key that matched',
    labels: { source: 'configured', key: ['current', 'previous'] }
  },
  cio_delivery_duration_seconds: {
    kind: 'histogram',
    help: 'Time from a delivery to its response',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3.5]
  },
  cio_event_age_seconds: {
    kind: 'histogram',
    help: 'Age of events on arrival, by the timestamp in the payload',
    buckets: [1, 5, 30, 60, 300, 1800, 3600, 21_600, 86_400, 259_200, 604_800]
  },
  cio_redis_call_duration_seconds: {
    kind: 'histogram',
    help: 'Duration of the Redis calls that dedupe and append events, durability included',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2]
  },
  cio_parked_total: {
    kind: 'counter',
    help: 'Authentic deliveries that are not events and were parked, by reason',
    labels: { source: 'configured', reason: 'observed' }
  },
  cio_parked_dropped_total: {
    kind: 'counter',
    help: 'Parked deliveries dropped because of their age or their total size',
    labels: { reason: ['age', 'size'] }
  },
  cio_dead_letters_dropped_total: {
    kind: 'counter',
    help: 'Dead letters dropped because of their age or their total size',
    labels: { reason: ['age', 'size'] }
  },
  cio_trimmed_events_total: {
    kind: 'counter',
    help: 'Acknowledged events removed from the log, by reason: age, length, or memory (early, because Redis was filling up)',
    labels: { reason: ['age', 'length', 'memory'] }
  },
  cio_redis_up: {
    kind: 'gauge',
    help: '1 while Redis answers and meets the requirements, otherwise 0: then deliveries get 503',
    aggregator: 'min'
  },
  cio_redis_memory_used_ratio: {
    kind: 'gauge',
    help: 'Used share of maxmemory, of the fullest Redis server; 0 without a limit. At 1 deliveries get 503',
    aggregator: 'max'
  },
  cio_build_info: {
    kind: 'gauge',
    help: 'Always 1; the label is the version that is running',
    labels: { version: 'observed' },
    aggregator: 'first'
  },
  cio_published_addresses_added: {
    kind: 'gauge',
    help: 'Source addresses that Customer.io publishes and that are not built in',
    aggregator: 'max'
  },
  cio_published_addresses_withdrawn: {
    kind: 'gauge',
    help: 'Built-in source addresses that Customer.io no longer publishes',
    aggregator: 'max'
  },
  cio_published_addresses_time_seconds: {
    kind: 'gauge',
    help: 'Unix time of the last valid response about source addresses; 0 without one',
    aggregator: 'max'
  },
  cio_published_addresses_asked_total: {
    kind: 'counter',
    help: "Requests to Customer.io's IP address API, by outcome",
    labels: { outcome: ['ok', 'failed'] }
  },
  cio_stream_length: {
    kind: 'gauge',
    help: 'Events in the log',
    labels: { partition: 'observed' },
    aggregator: 'max'
  },
  cio_consumer_lag: {
    kind: 'gauge',
    help: 'Events that a consumer group has not read yet',
    labels: { consumer: 'observed', partition: 'observed' },
    aggregator: 'max'
  },
  cio_consumer_attempts_total: {
    kind: 'counter',
    help: 'Attempts to deliver an event to a push consumer, by outcome; a failed batch of a broker counts once',
    labels: { consumer: 'configured', outcome: attemptOutcomes }
  },
  cio_consumer_oldest_unacknowledged_seconds: {
    kind: 'gauge',
    help: 'Age of the oldest event that a consumer has not processed; 0 if there is none',
    labels: { consumer: 'observed' },
    aggregator: 'max'
  },
  cio_consumer_outstanding: {
    kind: 'gauge',
    help: 'Events that a consumer has not processed, those in its push queue included',
    labels: { consumer: 'observed' },
    aggregator: 'max'
  },
  cio_consumer_dead_letters: {
    kind: 'gauge',
    help: 'Dead letters that wait to be replayed or dropped',
    labels: { consumer: 'observed' },
    aggregator: 'max'
  },
  cio_consumer_disabled: {
    kind: 'gauge',
    help: '1 while a push consumer is disabled because it answered 410',
    labels: { consumer: 'observed' },
    aggregator: 'max'
  },
  cio_consumer_no_members: {
    kind: 'gauge',
    help: '1 while a consumer group has no active member and the log keeps all events for it',
    labels: { consumer: 'observed' },
    aggregator: 'max'
  }
} as const satisfies Readonly<Record<string, Declaration>>

type NameOf<Kind extends Declaration['kind']> = {
  [Name in keyof typeof metricTable]: (typeof metricTable)[Name]['kind'] extends Kind ? Name : never
}[keyof typeof metricTable]

/**
 * Makes metrics of the table.
 *
 * @param configured names of the sources or consumers: the values of labels that are `configured`
 */
export function metricFactory(register: Registry, configured: readonly string[] = []) {
  const optionsOf = (name: keyof typeof metricTable) => {
    const { kind: _, labels = {}, ...rest }: Declaration = metricTable[name]
    return { ...rest, name, labelNames: Object.keys(labels), registers: [register] }
  }
  return {
    counter: (name: NameOf<'counter'>): Counter => {
      const counter = new Counter(optionsOf(name))
      for (const labels of initialSeries(metricTable[name].labels, configured)) counter.inc(labels, 0)
      return counter
    },
    histogram: (name: NameOf<'histogram'>): Histogram => new Histogram(optionsOf(name)),
    /** @param collect sets the series at each scrape; those of the scrape before are removed */
    gauge: (name: NameOf<'gauge'>, collect?: (gauge: Gauge) => void | Promise<void>): Gauge =>
      new Gauge({
        ...optionsOf(name),
        ...(collect && {
          async collect() {
            this.reset()
            await collect(this)
          }
        })
      })
  }
}

/** All combinations of the labels' values; none where a value is only known later. */
function initialSeries(
  labels: Readonly<Record<string, LabelValues>>,
  configured: readonly string[]
): readonly Readonly<Record<string, string>>[] {
  let series: readonly Readonly<Record<string, string>>[] = [{}]
  for (const [label, values] of Object.entries(labels)) {
    const known = values === 'configured' ? configured : values === 'observed' ? [] : values
    series = series.flatMap(labels => known.map(value => ({ ...labels, [label]: value })))
  }
  return series
}
