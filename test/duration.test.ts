import fc from 'fast-check'
import t from 'tap'
import { formatDuration, isoTime } from '../src/duration.ts'

for (const [ms, text] of [
  [0, '0 s'],
  [999, '0 s'],
  [119_999, '119 s'],
  [120_000, '2 min'],
  [7_199_999, '119 min'],
  [7_200_000, '2 h'],
  [172_799_999, '47 h'],
  [172_800_000, '2 d']
] as const) {
  t.test(`${ms} ms are ${text}`, async t => {
    t.equal(formatDuration(ms), text)
  })
}

t.test('any number of milliseconds is a time in RFC 3339 that reads back as it, or no time', async t => {
  t.equal(isoTime(1_795_749_234_567), '2026-11-27T03:13:54.567Z')
  fc.assert(
    fc.property(fc.oneof(fc.double(), fc.integer(), fc.nat({ max: 2 ** 53 - 1 })), ms => {
      const text = isoTime(ms)
      return text === undefined ? Number.isNaN(new Date(ms).getTime()) : Date.parse(text) === Math.trunc(ms)
    })
  )
})
