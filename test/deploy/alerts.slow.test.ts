import { readFileSync } from 'node:fs'
import t from 'tap'
import { deliveredAlerts, deliveredRules, firingAlerts, type Series } from '../helpers/alerts.ts'

interface Row {
  readonly name: string
  /** Beside a running service, which is in each row. */
  readonly series: readonly Series[]
  /** Every alert that fires at one of the times. */
  readonly fires: readonly string[]
  /** The alert that nearly fires. Each alert needs a row where it fires, and one where it does not. */
  readonly quiet?: string
}

const RUNNING: readonly Series[] = [
  ['cio_build_info{version="1"}', '1x5140'],
  ['cio_deliveries_late_total{source="default"}', '0x5140']
]
const deliveries = (outcome: string): string => `cio_deliveries_total{source="default",outcome="${outcome}"}`
const webhook = (state: string): string => `cio_reporting_webhook{source="default",state="${state}"}`
const ofConsumer = (what: string): string => `cio_consumer_${what}{consumer="crm"}`
/** Once, a minute after the start. */
const ONCE = '0x2 1x400'

/** A value per 30 s. Looked at after 3, 10, 64, 66, 68, 80 and 160 minutes. */
const rows: readonly Row[] = [
  { name: 'nothing happens', series: [[deliveries('unavailable'), '0x400']], fires: [] },

  // The service ends after 50 minutes; a series ends with a stale marker.
  {
    name: 'the last replica ends',
    series: [['cio_build_info{version="1"}', '1x100 stale']],
    fires: ['CioServiceDown']
  },
  {
    name: 'one of two replicas ends',
    series: [
      ['cio_build_info{version="1",instance="1"}', '1x100 stale'],
      ['cio_build_info{version="2",instance="2"}', '1x400']
    ],
    fires: [],
    quiet: 'CioServiceDown'
  },
  {
    name: 'a replica is restarted again and again',
    series: [
      ['process_start_time_seconds{instance="1"}', '0+300x400'],
      ['cio_build_info{version="1",instance="1"}', '1x400']
    ],
    fires: ['CioServiceRestarts']
  },
  {
    name: 'a replica is restarted once, and another program all the time',
    series: [
      ['process_start_time_seconds{instance="1"}', '0x100 3000x300'],
      ['cio_build_info{version="1",instance="1"}', '1x400'],
      ['process_start_time_seconds{instance="2"}', '0+300x400']
    ],
    fires: [],
    quiet: 'CioServiceRestarts'
  },

  {
    name: 'no delivery is kept',
    series: [[deliveries('unavailable'), '0+1x400']],
    fires: ['CioDeliveriesUnavailable', 'CioErrorBudgetBurnsFast', 'CioErrorBudgetBurnsSlowly']
  },
  {
    name: 'no delivery is kept, and Customer.io tries every 20 minutes',
    series: [
      [deliveries('unavailable'), '0x10 1x40 2x40 3x40 4x40 5x40 6x40 7x40'],
      [deliveries('accepted'), '7x400']
    ],
    fires: ['CioDeliveriesUnavailable']
  },
  { name: 'one delivery is not kept', series: [[deliveries('unavailable'), ONCE]], fires: [] },
  {
    name: 'a few deliveries are not kept, and their retries are',
    series: [
      [deliveries('unavailable'), '0x2 5x400'],
      [deliveries('accepted'), '0x4 5x400']
    ],
    fires: [],
    quiet: 'CioDeliveriesUnavailable'
  },

  {
    name: 'one of three replicas keeps nothing',
    series: [
      [deliveries('unavailable'), '0+100x400'],
      [deliveries('accepted'), '0+200x400']
    ],
    fires: ['CioErrorBudgetBurnsFast', 'CioErrorBudgetBurnsSlowly']
  },
  {
    name: 'deliveries are kept, but answered too late',
    series: [
      ['cio_deliveries_late_total{source="default"}', '0+100x400'],
      [deliveries('unavailable'), '0x400'],
      [deliveries('duplicate'), '0+200x400']
    ],
    fires: ['CioErrorBudgetBurnsFast', 'CioErrorBudgetBurnsSlowly']
  },
  {
    name: 'a failover of ten seconds',
    series: [
      [deliveries('unavailable'), '0x100 300x300'],
      [deliveries('accepted'), '0+6000x400']
    ],
    fires: [],
    quiet: 'CioErrorBudgetBurnsFast'
  },
  {
    name: 'half of the few deliveries fail once',
    series: [
      [deliveries('unavailable'), '0x40 1x80 2x80 3x80 4x80'],
      [deliveries('accepted'), '0x50 1x80 2x80 3x80 4x80']
    ],
    fires: []
  },

  {
    name: 'somebody tries wrong signatures',
    series: [[deliveries('signature_invalid'), '0x2 30x400']],
    fires: []
  },
  {
    name: 'Customer.io signs with another key',
    series: [
      [deliveries('signature_invalid'), '0x2 1x120 2x120 3x120'],
      [deliveries('accepted'), '7x400']
    ],
    fires: ['CioSigningKeyWrong']
  },
  {
    name: 'Customer.io begins to sign with another key, after an hour with deliveries',
    series: [
      [deliveries('signature_invalid'), '0x100 3x120 4x180'],
      [deliveries('accepted'), '0+5x100 500x300']
    ],
    fires: ['CioSigningKeyWrong']
  },
  {
    name: 'wrong signatures stand beside right ones',
    series: [
      [deliveries('signature_invalid'), '0+1x400'],
      [deliveries('duplicate'), '0+1x400']
    ],
    fires: [],
    quiet: 'CioSigningKeyWrong'
  },

  {
    name: 'an authentic delivery is refused because of its address',
    series: [['cio_forbidden_but_authentic_total{source="default"}', ONCE]],
    fires: ['CioAddressListOutdated']
  },
  {
    name: 'strangers are refused because of their address',
    series: [
      ['cio_forbidden_but_authentic_total{source="default"}', '0x400'],
      [deliveries('source_forbidden'), '0+10x400']
    ],
    fires: [],
    quiet: 'CioAddressListOutdated'
  },
  {
    name: 'the App API key is revoked',
    series: [
      ['cio_published_addresses_asked_total{outcome="failed"}', '0+1x400'],
      ['cio_published_addresses_asked_total{outcome="ok"}', '5x400']
    ],
    fires: ['CioAddressListNotRefreshed']
  },
  {
    name: 'requests for the list fail now and then',
    series: [
      ['cio_published_addresses_asked_total{outcome="failed"}', '0+1x400'],
      ['cio_published_addresses_asked_total{outcome="ok"}', '0+0.1x400']
    ],
    fires: [],
    quiet: 'CioAddressListNotRefreshed'
  },

  {
    name: 'the webhook is disabled',
    series: [
      [webhook('disabled'), '0x4 1x400'],
      [webhook('ok'), '1x4 0x400']
    ],
    fires: ['CioReportingWebhook']
  },
  {
    name: 'the webhook is disabled for four minutes',
    series: [
      [webhook('disabled'), '0x4 1x8 0x400'],
      [webhook('ok'), '1x4 0x8 1x400']
    ],
    fires: [],
    quiet: 'CioReportingWebhook'
  },
  {
    name: 'the webhook cannot be checked',
    series: [[webhook('unchecked'), '1x400']],
    fires: ['CioReportingWebhookUnchecked']
  },
  {
    name: 'the webhook cannot be checked for half an hour, again and again',
    series: [[webhook('unchecked'), '1x60 0x20 1x60 0x20 1x60 0x20 1x60']],
    fires: [],
    quiet: 'CioReportingWebhookUnchecked'
  },

  {
    name: 'events are missing',
    series: [['cio_missing_events{object_type="email"}', '0x2 7x400']],
    fires: ['CioEventsMissing']
  },
  {
    name: 'events are missing for ten minutes, until they are filled',
    series: [['cio_missing_events{object_type="email"}', '0x2 7x10 0x400']],
    fires: [],
    quiet: 'CioEventsMissing'
  },

  { name: 'a delivery is parked', series: [[deliveries('parked'), ONCE]], fires: ['CioDeliveriesParked'] },
  {
    name: 'a delivery was parked before the start',
    series: [[deliveries('parked'), '1x400']],
    fires: [],
    quiet: 'CioDeliveriesParked'
  },
  {
    name: 'a parked delivery is dropped',
    series: [['cio_parked_dropped_total{reason="age"}', '0x2 3x400']],
    fires: ['CioParkedDropped']
  },
  {
    name: 'no parked delivery is dropped',
    series: [['cio_parked_dropped_total{reason="age"}', '3x400']],
    fires: [],
    quiet: 'CioParkedDropped'
  },

  {
    name: 'events are an hour old',
    series: [
      ['cio_event_age_seconds_bucket{le="300"}', '0x400'],
      ['cio_event_age_seconds_bucket{le="3600"}', '0+1x400'],
      ['cio_event_age_seconds_bucket{le="+Inf"}', '0+1x400']
    ],
    fires: ['CioEventsLate']
  },
  {
    name: 'a third of the events are an hour old',
    series: [
      ['cio_event_age_seconds_bucket{le="300"}', '0+2x400'],
      ['cio_event_age_seconds_bucket{le="3600"}', '0+3x400'],
      ['cio_event_age_seconds_bucket{le="+Inf"}', '0+3x400']
    ],
    fires: [],
    quiet: 'CioEventsLate'
  },

  {
    name: 'one replica has no Redis',
    series: [
      ['cio_redis_up{instance="1"}', '1x10 0x400'],
      ['cio_redis_up{instance="2"}', '1x400']
    ],
    fires: ['CioRedisDown']
  },
  {
    name: 'Redis is away for half a minute',
    series: [['cio_redis_up', '1x159 0 1x250']],
    fires: [],
    quiet: 'CioRedisDown'
  },
  {
    name: 'Redis fills up',
    series: [['cio_redis_memory_used_ratio', '0.9x400']],
    fires: ['CioRedisMemory'],
    quiet: 'CioRedisFull'
  },
  {
    name: 'Redis is full',
    series: [['cio_redis_memory_used_ratio', '0.98x400']],
    fires: ['CioRedisMemory', 'CioRedisFull']
  },
  {
    name: 'Redis has room',
    series: [['cio_redis_memory_used_ratio', '0.79x400']],
    fires: [],
    quiet: 'CioRedisMemory'
  },
  {
    name: 'a log is full of unread events',
    series: [
      ['cio_stream_length{partition="0"}', '900x400'],
      ['cio_stream_length{partition="1"}', '100x400'],
      ['cio_stream_max_length', '1000x400'],
      ['cio_trimmed_events_total{reason="length"}', '7x400']
    ],
    fires: ['CioStreamFull']
  },
  {
    name: 'a log is full of acknowledged events, and the oldest are trimmed',
    series: [
      ['cio_stream_length{partition="0"}', '1000x400'],
      ['cio_stream_max_length', '1000x400'],
      ['cio_trimmed_events_total{reason="length"}', '0+5x400']
    ],
    fires: [],
    quiet: 'CioStreamFull'
  },

  {
    name: 'a consumer is in trouble',
    series: [
      [ofConsumer('oldest_unacknowledged_seconds'), '900x400'],
      [ofConsumer('failing'), '1x400'],
      [ofConsumer('no_members'), '1x400'],
      [ofConsumer('disabled'), '1x400'],
      [ofConsumer('paused'), '1x400'],
      [ofConsumer('dead_letters'), '1x400']
    ],
    fires: [
      'CioConsumerFailing',
      'CioConsumerBehind',
      'CioConsumerNoMembers',
      'CioConsumerDisabled',
      'CioConsumerPaused',
      'CioConsumerDeadLetters'
    ]
  },
  {
    name: 'one attempt of a consumer fails',
    series: [[ofConsumer('failing'), '0x310 1x15 0x100']],
    fires: [],
    quiet: 'CioConsumerFailing'
  },
  {
    name: 'a consumer is a little behind',
    series: [[ofConsumer('oldest_unacknowledged_seconds'), '599x400']],
    fires: [],
    quiet: 'CioConsumerBehind'
  },
  {
    name: 'a consumer is restarted',
    series: [[ofConsumer('no_members'), '0x158 1x8 0x200']],
    fires: [],
    quiet: 'CioConsumerNoMembers'
  },
  {
    name: 'a consumer is enabled',
    series: [[ofConsumer('disabled'), '0x400']],
    fires: [],
    quiet: 'CioConsumerDisabled'
  },
  {
    name: 'a consumer is paused for half an hour',
    series: [[ofConsumer('paused'), '0x100 1x60 0x200']],
    fires: [],
    quiet: 'CioConsumerPaused'
  },
  {
    name: 'a consumer has no dead letters',
    series: [[ofConsumer('dead_letters'), '0x400']],
    fires: [],
    quiet: 'CioConsumerDeadLetters'
  },
  {
    name: 'dead letters are dropped',
    series: [['cio_dead_letters_dropped_total{reason="size"}', '0x2 3x400']],
    fires: ['CioDeadLettersDropped']
  },
  {
    name: 'no dead letter is dropped',
    series: [['cio_dead_letters_dropped_total{reason="size"}', '3x400']],
    fires: [],
    quiet: 'CioDeadLettersDropped'
  },
  {
    name: 'the Redis user may not read the state of consumers',
    series: [
      ['cio_consumer_status_time_seconds', '0x400'],
      ['cio_redis_up', '1x400']
    ],
    fires: ['CioConsumerStatusStale']
  },
  {
    name: 'the state of consumers is read, by one of two replicas',
    series: [
      ['cio_consumer_status_time_seconds{instance="1"}', '0+30x400'],
      ['cio_consumer_status_time_seconds{instance="2"}', '0x400'],
      ['cio_redis_up', '1x400']
    ],
    fires: [],
    quiet: 'CioConsumerStatusStale'
  }
]

/** A value per 2 minutes, 5,040 in a week. Looked at after 26, 60 and 170 hours. */
const slowRows: readonly Row[] = [
  {
    name: 'now and then a delivery fails',
    series: [
      [deliveries('unavailable'), '0+20x2000'],
      [deliveries('accepted'), '0+10000x2000']
    ],
    fires: ['CioErrorBudgetBurnsSlowly']
  },
  {
    name: 'rarely a delivery fails',
    series: [
      [deliveries('unavailable'), '0+5x2000'],
      [deliveries('accepted'), '0+10000x2000']
    ],
    fires: [],
    quiet: 'CioErrorBudgetBurnsSlowly'
  },
  {
    name: 'Redis is too small',
    series: [['cio_trimmed_events_total{reason="memory"}', '0+5x2000']],
    fires: ['CioHistoryShort']
  },
  {
    name: 'Redis was full once',
    series: [
      ['cio_trimmed_events_total{reason="memory"}', '0x720 900x1000'],
      ['cio_trimmed_events_total{reason="age"}', '0+5x2000']
    ],
    fires: [],
    quiet: 'CioHistoryShort'
  },
  {
    name: 'Customer.io still signs with the previous key',
    series: [['cio_signature_key_total{source="default",key="previous"}', '0+1x2000']],
    fires: ['CioPreviousKeyUsed']
  },
  {
    name: 'a rotation takes an hour',
    series: [
      ['cio_signature_key_total{source="default",key="previous"}', '0x750 0+1x30 30x1200'],
      ['cio_signature_key_total{source="default",key="current"}', '0+1x2000']
    ],
    fires: [],
    quiet: 'CioPreviousKeyUsed'
  },
  {
    name: 'no deliveries arrive, unlike last week',
    series: [[deliveries('accepted'), '0+1x5040 5040x100']],
    fires: ['CioSenderSilent']
  },
  {
    name: 'no deliveries arrive, and at this hour of last week there were few',
    series: [[deliveries('accepted'), '0+0.5x5040 2520x100']],
    fires: [],
    quiet: 'CioSenderSilent'
  },
  {
    name: 'only 503 is answered, unlike last week',
    series: [
      [deliveries('accepted'), '0+1x5040 5040x100'],
      [deliveries('unavailable'), '0x5040 0+1x100']
    ],
    fires: ['CioDeliveriesUnavailable', 'CioErrorBudgetBurnsFast', 'CioErrorBudgetBurnsSlowly']
  }
]

const seriesOf = (rows: readonly Row[]): Readonly<Record<string, readonly Series[]>> =>
  Object.fromEntries(rows.map(({ name, series }) => [name, withRunning(series)]))

const withRunning = (series: readonly Series[]): readonly Series[] => [
  ...RUNNING.filter(([metric]) => !series.some(([own]) => nameOf(own) === nameOf(metric))),
  ...series
]

const nameOf = (metric: string): string => metric.replace(/\{.*/, '')

const expected = (rows: readonly Row[]): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(rows.map(({ name, fires }) => [name, fires]))

t.test('each alert fires when it should, and no other does', async t => {
  t.same(firingAlerts(seriesOf(rows), { minutes: [3, 10, 64, 66, 68, 80, 160] }), expected(rows))
})

t.test('each alert about days fires when it should, and no other does', async t => {
  const times = { minutes: [26 * 60, 60 * 60, 170 * 60], intervalSeconds: 120, evaluationSeconds: 1800 }
  t.same(firingAlerts(seriesOf(slowRows), times), expected(slowRows))
})

t.test('each alert has a row where it fires, and one where it nearly does', async t => {
  const all = [...rows, ...slowRows]
  const fired = new Set(all.flatMap(({ fires }) => fires))
  const quiet = all.flatMap(({ quiet, fires }) =>
    quiet === undefined || fires.includes(quiet) ? [] : [quiet]
  )
  t.same([...fired].sort(), [...deliveredAlerts()].sort())
  t.same(quiet.sort(), [...deliveredAlerts()].sort())
})

t.test('each alert says what it means for Customer.io, and has a section in the runbook', async t => {
  const runbook = readFileSync('docs/runbook.md', 'utf8')
  for (const { alert, labels, annotations } of deliveredRules()) {
    if (alert === undefined) continue
    t.match(labels?.['severity'], /^(page|ticket|info)$/, alert)
    t.match(annotations?.['summary'], /\.$/, alert)
    t.match(annotations?.['description'], /Customer\.io/, alert)
    t.equal(annotations?.['runbook_url'], `docs/runbook.md#${alert.toLowerCase()}`)
    t.match(runbook, new RegExp(`^### ${alert}$`, 'm'))
  }
  const sections = [...runbook.matchAll(/^### (Cio\w+)$/gm)].map(([, alert]) => alert)
  t.same(sections.sort(), [...deliveredAlerts()].sort(), 'no section without an alert')
})
