// Tested by test/ops/metrics.test.ts and test/dispatch/dispatcher.test.ts
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { attemptOutcomes, deliveryOutcomes } from './outcomes.ts'

/**
 * The values of a label that exist from the start: a closed set, or `configured` (names of sources or consumers). Then
 * each series starts at 0. A label with the values `observed` gets them later, from a closed set or from Redis.
 */
type LabelValues = readonly string[] | 'configured' | 'observed'

type Labels = Readonly<Record<string, LabelValues>>

const counter = (help: string, labels: Labels) => ({ kind: 'counter', help, labels }) as const
const histogram = (help: string, buckets: number[]) =>
  ({ kind: 'histogram', help, labels: {}, buckets }) as const
/** @param aggregator how the values of several workers are combined */
const gauge = (help: string, labels: Labels = {}, aggregator: 'max' | 'min' | 'first' = 'max') =>
  ({ kind: 'gauge', help, labels, aggregator }) as const

const perConsumer: Labels = { consumer: 'observed' }

const metricTable = {
  cio_deliveries_total: counter('Deliveries by outcome', { source: 'configured', outcome: deliveryOutcomes }),
  cio_signature_failures_total: counter('Deliveries without a valid signature, by reason', {
    source: 'configured',
    reason: 'observed'
  }),
  cio_forbidden_but_authentic_total: counter(
    'Authentic deliveries from addresses that are not allowed: the list of addresses may be outdated',
    { source: 'configured' }
  ),
  cio_signature_key_total: counter('Authentic deliveries by the signing key that matched', {
    source: 'configured',
    key: ['current', 'previous']
  }),
  cio_delivery_duration_seconds: histogram(
    'Time from a delivery to its response',
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3.5]
  ),
  cio_event_age_seconds: histogram(
    'Age of events on arrival, by the timestamp in the payload',
    [1, 5, 30, 60, 300, 1800, 3600, 21_600, 86_400, 259_200, 604_800]
  ),
  cio_redis_call_duration_seconds: histogram(
    'Duration of the Redis calls that dedupe and append events, durability included',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2]
  ),
  cio_parked_total: counter('Authentic deliveries that are not events and were parked, by reason', {
    source: 'configured',
    reason: 'observed'
  }),
  cio_parked_dropped_total: counter('Parked deliveries dropped because of their age or their total size', {
    reason: ['age', 'size']
  }),
  cio_dead_letters_dropped_total: counter('Dead letters dropped because of their age or their total size', {
    reason: ['age', 'size']
  }),
  cio_trimmed_events_total: counter(
    'Acknowledged events removed from the log, by reason: age, length, or memory (early, because Redis was filling up)',
    { reason: ['age', 'length', 'memory'] }
  ),
  cio_redis_up: gauge(
    '1 while Redis answers and meets the requirements, otherwise 0: then deliveries get 503',
    {},
    'min'
  ),
  cio_redis_memory_used_ratio: gauge(
    'Used share of maxmemory, of the fullest Redis server; 0 without a limit. At 1 deliveries get 503'
  ),
  cio_build_info: gauge('Always 1; the label is the running version', { version: 'observed' }, 'first'),
  cio_published_addresses_added: gauge(
    'Source addresses that Customer.io publishes and that are not built in'
  ),
  cio_published_addresses_withdrawn: gauge('Built-in source addresses that Customer.io no longer publishes'),
  cio_published_addresses_time_seconds: gauge(
    'Unix time of the last valid response about source addresses; 0 without one'
  ),
  cio_published_addresses_asked_total: counter("Requests to Customer.io's IP address API, by outcome", {
    outcome: ['ok', 'failed']
  }),
  cio_stream_length: gauge('Events in the log', { partition: 'observed' }),
  cio_consumer_lag: gauge('Events that a consumer group has not read yet', {
    consumer: 'observed',
    partition: 'observed'
  }),
  cio_consumer_attempts_total: counter(
    'Attempts to deliver an event to a push consumer, by outcome; a failed batch of a broker counts once',
    { consumer: 'configured', outcome: attemptOutcomes }
  ),
  cio_consumer_oldest_unacknowledged_seconds: gauge(
    'Age of the oldest event that a consumer has not processed; 0 if there is none',
    perConsumer
  ),
  cio_consumer_outstanding: gauge(
    'Events that a consumer has not processed, those in its push queue included',
    perConsumer
  ),
  cio_consumer_dead_letters: gauge('Dead letters that wait to be replayed or dropped', perConsumer),
  cio_consumer_disabled: gauge('1 while a push consumer is disabled because it answered 410', perConsumer),
  cio_consumer_no_members: gauge(
    '1 while a consumer group has no active member and the log keeps all events for it',
    perConsumer
  )
}

type MetricName = keyof typeof metricTable
type NameOf<Kind extends 'counter' | 'gauge' | 'histogram'> = {
  [Name in MetricName]: (typeof metricTable)[Name]['kind'] extends Kind ? Name : never
}[MetricName]

/**
 * Makes metrics of the table.
 *
 * @param configured names of the sources or consumers: the values of labels that are `configured`
 */
export function metricFactory(register: Registry, configured: readonly string[] = []) {
  const optionsOf = (name: MetricName) => {
    const { help, labels } = metricTable[name]
    return { name, help, labelNames: Object.keys(labels), registers: [register] }
  }
  return {
    counter: (name: NameOf<'counter'>): Counter => {
      const counter = new Counter(optionsOf(name))
      for (const labels of initialSeries(metricTable[name].labels, configured)) counter.inc(labels, 0)
      return counter
    },
    histogram: (name: NameOf<'histogram'>): Histogram =>
      new Histogram({ ...optionsOf(name), buckets: metricTable[name].buckets }),
    /** @param collect sets the series at each scrape; those of the scrape before are removed */
    gauge: (name: NameOf<'gauge'>, collect?: (gauge: Gauge) => void | Promise<void>): Gauge =>
      new Gauge({
        ...optionsOf(name),
        aggregator: metricTable[name].aggregator,
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
  labels: Labels,
  configured: readonly string[]
): readonly Readonly<Record<string, string>>[] {
  let series: readonly Readonly<Record<string, string>>[] = [{}]
  for (const [label, values] of Object.entries(labels)) {
    const known = values === 'configured' ? configured : values === 'observed' ? [] : values
    series = series.flatMap(labels => known.map(value => ({ ...labels, [label]: value })))
  }
  return series
}
