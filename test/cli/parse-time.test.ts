import t from 'tap'
import { UsageError } from '../../src/cli/command.ts'
import { parseTime } from '../../src/cli/parse-time.ts'

const NOW_MS = Date.parse('2026-11-24T12:00:00Z')

t.test('a time is a date, a date with a time, or how long ago', async t => {
  const rows = [
    ['2026-11-24', '2026-11-24T00:00:00.000Z'],
    ['2026-11-24T10:00:00Z', '2026-11-24T10:00:00.000Z'],
    ['2026-11-24T10:00:00+02:00', '2026-11-24T08:00:00.000Z'],
    ['90s', '2026-11-24T11:58:30.000Z'],
    ['30m', '2026-11-24T11:30:00.000Z'],
    ['12h', '2026-11-24T00:00:00.000Z'],
    ['7d', '2026-11-17T12:00:00.000Z']
  ] as const
  for (const [text, expected] of rows) {
    t.equal(new Date(parseTime('--from', text, NOW_MS)).toISOString(), expected, text)
  }
})

t.test('everything else is refused with the option and examples', async t => {
  for (const text of ['', 'yesterday', '7', '1w', '-5m', '2026-13-01', '11/24/2026']) {
    t.throws(() => parseTime('--from', text, NOW_MS), UsageError, text)
  }
  t.throws(() => parseTime('--from', 'noon', NOW_MS), {
    message: /^--from "noon" is not a time: give one such as 2026-11-24T10:00:00Z, or how long ago: 90s/
  })
})
