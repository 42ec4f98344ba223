import t from 'tap'
import { parseRetryAfter, retryDelayMs } from '../../src/async/retry-delay.ts'

const defaults = { retryDelayMs: 10_000, maxRetryDelayMs: 21_600_000 }

t.test('with the defaults twelve attempts take about a day', async t => {
  const pauses = Array.from({ length: 11 }, (_, index) => retryDelayMs(defaults, index + 1, undefined, 0.5))
  t.same(
    pauses,
    [
      10_000, 30_000, 90_000, 270_000, 810_000, 2_430_000, 7_290_000, 21_600_000, 21_600_000, 21_600_000,
      21_600_000
    ]
  )
  const hours = pauses.reduce((sum, pause) => sum + pause, 0) / 3_600_000
  t.ok(hours > 24 && hours < 30, `${hours} h`)
})

t.test('a pause is up to a fifth shorter or longer', async t => {
  t.same(
    [0, 1].map(random => retryDelayMs(defaults, 1, undefined, random)),
    [8000, 12_000]
  )
})

for (const [asked, pause] of [
  [undefined, 10_000],
  [5000, 10_000],
  [60_000, 60_000],
  [999_999_999, 21_600_000]
] as const) {
  t.test(`retry-after of ${asked} ms makes a pause of ${pause} ms`, async t => {
    t.equal(retryDelayMs(defaults, 1, asked, 0.5), pause)
  })
}

const NOW = Date.parse('2026-11-24T10:00:00Z')
for (const [value, ms] of [
  ['0', 0],
  ['120', 120_000],
  ['Tue, 24 Nov 2026 10:01:00 GMT', 60_000],
  ['Tue, 24 Nov 2026 09:00:00 GMT', 0],
  ['-5', undefined],
  ['1.5', undefined],
  ['99999999999999', undefined],
  ['2026-11-24', undefined],
  ['soon', undefined],
  ['', undefined],
  [['120'], undefined],
  [undefined, undefined]
] as const) {
  t.test(`retry-after: ${JSON.stringify(value)} is ${ms} ms`, async t => {
    t.equal(parseRetryAfter(value, NOW), ms)
  })
}
