import t from 'tap'
import { headline } from '../../../src/console/pages/overview-headline.ts'
import type { DeliveryRow } from '../../../src/receive/delivery-stats.ts'
import type { Problem } from '../../../src/tools/status/facts.ts'

const NOW = Date.parse('2026-11-27T12:00:30Z')
const MINUTE_MS = 60_000

/** Rows of the last hour. @param counts by the age of the row in minutes */
function rows(counts: Readonly<Record<number, DeliveryRow['outcomes']>>): DeliveryRow[] {
  const last = Math.floor(NOW / MINUTE_MS) * MINUTE_MS
  return Array.from({ length: 61 }, (_, index) => ({
    fromMs: last - (60 - index) * MINUTE_MS,
    outcomes: counts[60 - index] ?? {},
    durationMs: undefined
  }))
}

const problem = (id: Problem['id'], severity: Problem['severity'] = 'error'): Problem => ({
  id,
  severity,
  summary: 'Summary.',
  consequence: 'Consequence.',
  fix: 'the fix'
})

const calm = { outage: undefined, problems: [] }

const cases: readonly {
  readonly name: string
  readonly status?: Parameters<typeof headline>[0]
  readonly counts?: Parameters<typeof rows>[0]
  readonly lastAgoMs?: number
  readonly expected: readonly [tone: string, text: string]
}[] = [
  {
    name: 'regular deliveries',
    counts: { 0: { accepted: 4 }, 30: { accepted: 1190, duplicate: 9, parked: 1, signature_invalid: 7 } },
    lastAgoMs: 3000,
    expected: [
      'good',
      'Customer.io is getting through: 1,204 deliveries in the last hour, the last one 3 s ago.'
    ]
  },
  {
    name: 'a single delivery',
    counts: { 30: { accepted: 1 } },
    lastAgoMs: 30 * MINUTE_MS,
    expected: [
      'good',
      'Customer.io is getting through: 1 delivery in the last hour, the last one 30 min ago.'
    ]
  },
  { name: 'none ever', expected: ['neutral', 'No delivery yet.'] },
  {
    name: 'an unusual silence',
    counts: { 43: { accepted: 600 } },
    lastAgoMs: 42 * MINUTE_MS,
    expected: ['warning', 'No delivery for 42 min.']
  },
  {
    name: 'a silence of more than an hour',
    lastAgoMs: 200 * MINUTE_MS,
    expected: ['warning', 'No delivery for 3 h.']
  },
  {
    name: 'an outage of Redis',
    status: { outage: 'Redis at redis:6379: ECONNREFUSED', problems: [problem('redis_down')] },
    expected: ['bad', 'Deliveries get 503. Redis at redis:6379: ECONNREFUSED.']
  },
  {
    name: 'mostly 503',
    counts: { 0: { unavailable: 12 }, 1: { accepted: 11 } },
    lastAgoMs: 1000,
    expected: ['bad', 'Deliveries get 503: 12 in the last 5 min.']
  },
  {
    name: 'some 503',
    counts: { 0: { unavailable: 2, accepted: 98 } },
    lastAgoMs: 1000,
    expected: [
      'warning',
      'Customer.io is getting through, but 2 got 503 in the last 5 min: 98 deliveries in the last hour, the last one 1 s ago.'
    ]
  },
  {
    name: '503 that ended half an hour ago',
    counts: { 0: { accepted: 98 }, 30: { unavailable: 500 } },
    lastAgoMs: 1000,
    expected: [
      'good',
      'Customer.io is getting through: 98 deliveries in the last hour, the last one 1 s ago.'
    ]
  },
  {
    name: 'a wrong key',
    status: { outage: undefined, problems: [problem('wrong_key')] },
    counts: { 1: { signature_invalid: 5 } },
    expected: ['bad', 'Customer.io is refused. Summary.']
  },
  {
    name: 'a wrong key that was corrected, and events arrive again',
    status: { outage: undefined, problems: [problem('wrong_key', 'warning')] },
    counts: { 1: { signature_invalid: 5, accepted: 5 } },
    lastAgoMs: 1000,
    expected: ['good', 'Customer.io is getting through: 5 deliveries in the last hour, the last one 1 s ago.']
  }
]

for (const { name, status = calm, counts = {}, lastAgoMs, expected } of cases) {
  t.test(`the headline for ${name}`, async t => {
    const lastAtMs = lastAgoMs === undefined ? undefined : NOW - lastAgoMs
    const { tone, text } = headline(status, { rows: rows(counts), lastAtMs }, NOW)
    t.same([tone, text], expected)
  })
}

t.test('without figures from Redis, the headline says so', async t => {
  t.match(headline(calm, undefined, NOW), { tone: 'warning', text: /cannot be read/ })
})
