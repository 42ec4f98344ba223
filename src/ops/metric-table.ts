// Tested by test/ops/metrics.test.ts, test/dispatch/dispatcher.slow.test.ts and test/docs/metrics.test.ts.
import { counter, gauge, histogram, type Labels } from './metric-kinds.ts'
import { attemptOutcomes, deliveryOutcomes, signatureFailures, webhookStates } from './outcomes.ts'

const perConsumer: Labels = { consumer: 'observed' }

/** Names, labels and meaning are a contract with dashboards and alert rules, also those of users. */
export const metricTable = {
  cio_deliveries_total: counter(
    {
      help: 'Deliveries by outcome',
      matters:
        '`unavailable` (503) rises: Customer.io holds back every later event. `accepted`, `duplicate` and `parked` are the good ones; only a key holder or an allowed address can cause `unavailable`. The others can come from anyone'
    },
    { source: 'configured', outcome: deliveryOutcomes }
  ),
  cio_deliveries_late_total: counter(
    {
      help: 'Deliveries that were stored, but answered after more than 3.5 s: Customer.io gives up at 4 s',
      matters:
        'it rises: Customer.io sends these again (they are answered as duplicates) and holds back every later event until then'
    },
    { source: 'configured' }
  ),
  cio_signature_failures_total: counter(
    {
      help: 'Deliveries without a valid signature, by reason',
      matters:
        '`mismatch` while nothing is accepted: wrong key. `timestamp_future` or `timestamp_stale`: wrong clock'
    },
    { source: 'configured', reason: signatureFailures }
  ),
  cio_forbidden_but_authentic_total: counter(
    {
      help: 'Authentic deliveries from addresses that are not allowed: the list of addresses may be outdated',
      matters: 'it rises: each one costs an hour, unless `CIO_IP_POLICY=report`'
    },
    { source: 'configured' }
  ),
  cio_signature_key_total: counter(
    {
      help: 'Authentic deliveries by the signing key that matched',
      matters: 'before you remove the previous key: it must not rise any more'
    },
    { source: 'configured', key: ['current', 'previous'] }
  ),
  cio_delivery_duration_seconds: histogram(
    {
      help: 'Time from a delivery to its response',
      matters:
        'its 99th percentile nears a second. It includes requests without a valid signature, and a slow body counts'
    },
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3.5]
  ),
  cio_event_age_seconds: histogram(
    {
      help: 'Age of events on arrival, by the timestamp in the payload',
      matters: 'its median is minutes: Customer.io is behind and catching up, or an import sends old events'
    },
    [1, 5, 30, 60, 300, 1800, 3600, 21_600, 86_400, 259_200, 604_800]
  ),
  cio_redis_call_duration_seconds: histogram(
    {
      help: 'Duration of the Redis calls that dedupe and append events, durability included',
      matters:
        'deliveries are slow: is it Redis or the service? At 2 s a call times out, and the delivery gets 503'
    },
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2]
  ),
  cio_parked_total: counter(
    {
      help: 'Authentic deliveries that are not events and were parked, by reason',
      matters: 'it rises: consumers do not get them. Usually a template at Customer.io is broken'
    },
    { source: 'configured', reason: 'observed' }
  ),
  cio_parked_dropped_total: counter(
    {
      help: 'Parked deliveries dropped because of their age or their total size',
      matters: 'it rises: they are lost'
    },
    { reason: ['age', 'size'] }
  ),
  cio_dead_letters_dropped_total: counter(
    {
      help: 'Dead letters dropped because of their age or their total size',
      matters: 'it rises: a consumer will never get these events, unless they are still in the log'
    },
    { reason: ['age', 'size'] }
  ),
  cio_trimmed_events_total: counter(
    {
      help: 'Acknowledged events removed from the log, by reason: age, length, or memory (early, because Redis was filling up)',
      matters:
        '`memory` or `length` rises all the time: the history is shorter than `EVENT_RETENTION_SECONDS`'
    },
    { reason: ['age', 'length', 'memory'] }
  ),
  cio_redis_up: gauge(
    {
      help: '1 while Redis answers and meets the requirements, otherwise 0: then deliveries get 503',
      matters: 'it is 0'
    },
    {},
    'min'
  ),
  cio_redis_memory_used_ratio: gauge({
    help: 'Used share of maxmemory, of the fullest Redis server; 0 without a limit. At 1 deliveries get 503',
    matters: 'it is above 0.8: the service trims early, and unread events can fill Redis'
  }),
  cio_build_info: gauge(
    {
      help: 'Always 1; the label is the running version',
      matters: 'it is missing: no replica runs, or Prometheus cannot read it. Two versions: a rollout'
    },
    { version: 'observed' },
    'first'
  ),
  cio_reporting_webhook: gauge(
    {
      help: 'State of the reporting webhook at Customer.io: 1 for the state that it has, otherwise 0. Checked every 5 minutes',
      matters:
        'a state other than `ok` is 1: events are lost or refused. No series: there is no `CIO_APP_API_KEY`, or `cio-webhook connect` was never run'
    },
    { source: 'observed', state: webhookStates }
  ),
  cio_missing_events: gauge(
    {
      help: 'Events of the last day that Customer.io lists, that never arrived and that were not appended. Compared every hour',
      matters:
        'it is not 0: consumers do not get these events unless somebody runs `cio-webhook reconcile --fill`. No series: there is no `CIO_APP_API_KEY`, `RECONCILE=off`, or nothing was compared yet'
    },
    { object_type: 'observed' }
  ),
  cio_published_addresses_added: gauge({
    help: 'Source addresses that Customer.io publishes and that are not built in',
    matters: 'for information: they are allowed without a new version, while `CIO_APP_API_KEY` is set'
  }),
  cio_published_addresses_withdrawn: gauge({
    help: 'Built-in source addresses that Customer.io no longer publishes',
    matters: 'for information: they stay allowed'
  }),
  cio_published_addresses_time_seconds: gauge({
    help: 'Unix time of the last valid response about source addresses; 0 without one',
    matters: 'it is more than a day ago, and `CIO_APP_API_KEY` is set'
  }),
  cio_published_addresses_asked_total: counter(
    {
      help: "Requests to Customer.io's IP address API, by outcome",
      matters: 'only `failed` rises: a new address of Customer.io would get 403'
    },
    { outcome: ['ok', 'failed'] }
  ),
  cio_stream_length: gauge(
    {
      help: 'Events in the log',
      matters: 'it nears `cio_stream_max_length`, and the oldest events are unread'
    },
    { partition: 'observed' }
  ),
  cio_stream_max_length: gauge({
    help: 'Most events that a partition of the log may hold (EVENT_MAX_LENGTH)',
    matters: 'to compare with `cio_stream_length`'
  }),
  cio_consumer_lag: gauge(
    {
      help: 'Events that a consumer group has not read yet',
      matters: 'it grows: the consumer is too slow, or stands still. `NaN` while Redis does not know it'
    },
    { consumer: 'observed', partition: 'observed' }
  ),
  cio_consumer_attempts_total: counter(
    {
      help: 'Attempts to deliver an event to a push consumer, by outcome; a failed batch of a broker counts once',
      matters: '`failed` rises: the target has a problem. `dead`: an event became a dead letter'
    },
    { consumer: 'configured', outcome: attemptOutcomes }
  ),
  cio_consumer_oldest_unacknowledged_seconds: gauge(
    {
      help: 'Age of the oldest event that a consumer has not processed; 0 if there is none',
      matters: 'it is longer than this consumer may be behind'
    },
    perConsumer
  ),
  cio_consumer_outstanding: gauge(
    {
      help: 'Events that a consumer has not processed, those in its push queue included',
      matters: 'it grows: the log keeps all of them. Scale consumers on it'
    },
    perConsumer
  ),
  cio_consumer_dead_letters: gauge(
    {
      help: 'Dead letters that wait to be replayed or dropped',
      matters: 'it is not 0: the consumer does not get these events unless somebody replays them'
    },
    perConsumer
  ),
  cio_consumer_failing: gauge(
    {
      help: '1 while the last attempt of a push consumer failed',
      matters: 'it is 1 for minutes: the target is down, or refuses the events'
    },
    perConsumer
  ),
  cio_consumer_disabled: gauge(
    {
      help: '1 while a push consumer is disabled because it answered 410',
      matters: 'it is 1: the consumer gets nothing until somebody enables it'
    },
    perConsumer
  ),
  cio_consumer_paused: gauge(
    {
      help: '1 while a consumer is paused by an operator',
      matters: 'it is 1 for longer than planned: the log keeps all events for the consumer'
    },
    perConsumer
  ),
  cio_consumer_no_members: gauge(
    {
      help: '1 while a consumer group has no active member and the log keeps all events for it',
      matters: 'it is 1 for minutes: unread events fill Redis'
    },
    perConsumer
  ),
  cio_consumer_status_time_seconds: gauge({
    help: 'Unix time when the state of the consumers was last read from Redis; 0 before the first time',
    matters:
      'it is minutes ago: the gauges of consumers show the last known values, because Redis is down or refuses a command'
  })
}
