import t from 'tap'
import { formatDuration } from '../src/duration.ts'

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
