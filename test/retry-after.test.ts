import t from 'tap'
import { parseRetryAfter } from '../src/retry-after.ts'

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
