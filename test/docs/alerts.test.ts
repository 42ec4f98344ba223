import t from 'tap'
import { firingAlerts, type Series } from '../helpers/alerts.ts'

const HOURS = '0x2 1x400'
const deliveries = (outcome: string): string => `cio_deliveries_total{source="default",outcome="${outcome}"}`

const rows: readonly (readonly [name: string, series: readonly Series[], alerts: readonly string[]])[] = [
  ['nothing happens', [[deliveries('unavailable'), '0x400']], []],
  ['one delivery is not kept', [[deliveries('unavailable'), HOURS]], []],
  ['deliveries are not kept', [[deliveries('unavailable'), '0+1x400']], ['CioDeliveriesUnavailable']],
  ['somebody tries wrong signatures', [[deliveries('signature_invalid'), '0x2 30x400']], []],
  [
    // A try per hour: 120 scrapes.
    'Customer.io signs with another key',
    [
      [deliveries('signature_invalid'), '0x2 1x120 2x120 3x120'],
      [deliveries('accepted'), '7x400']
    ],
    ['CioSigningKeyWrong']
  ],
  [
    'wrong signatures stand beside right ones',
    [
      [deliveries('signature_invalid'), '0+1x400'],
      [deliveries('accepted'), '0+1x400']
    ],
    []
  ],
  ['a delivery is parked', [[deliveries('parked'), HOURS]], ['CioDeliveriesParked']],
  [
    'an authentic delivery is refused for its address',
    [['cio_forbidden_but_authentic_total{source="default"}', HOURS]],
    ['CioAddressListOutdated']
  ],
  [
    'events are an hour old',
    [
      ['cio_event_age_seconds_bucket{le="300"}', '0x400'],
      ['cio_event_age_seconds_bucket{le="3600"}', '0+1x400'],
      ['cio_event_age_seconds_bucket{le="+Inf"}', '0+1x400']
    ],
    ['CioEventsLate']
  ],
  ['Redis is full', [['cio_redis_memory_used_ratio', '0.9x400']], ['CioRedisMemory']],
  ['a stream is full', [['cio_stream_length{partition="0"}', '4500000x400']], ['CioStreamFull']],
  [
    'a consumer is in trouble',
    [
      ['cio_consumer_oldest_unacknowledged_seconds{consumer="crm"}', '900x400'],
      ['cio_consumer_no_members{consumer="crm"}', '1x400'],
      ['cio_consumer_disabled{consumer="crm"}', '1x400'],
      ['cio_consumer_dead_letters{consumer="crm"}', '1x400']
    ],
    ['CioConsumerBehind', 'CioConsumerNoMembers', 'CioConsumerDisabled', 'CioConsumerDeadLetters']
  ]
]

t.test('each documented alert fires when it should, and no other does', async t => {
  const firing = firingAlerts(
    Object.fromEntries(rows.map(([name, series]) => [name, series])),
    [3, 10, 80, 160]
  )
  t.same(firing, Object.fromEntries(rows.map(([name, , alerts]) => [name, alerts])))
})
