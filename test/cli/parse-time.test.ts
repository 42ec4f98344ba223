import t from 'tap'
import { UsageError } from '../../src/cli/command.ts'
import { parseTime } from '../../src/cli/parse-time.ts'

const NOW = Date.parse('2026-11-24T10:00:00Z')

for (const [text, time] of [
  ['90s', '2026-11-24T09:58:30Z'],
  ['30m', '2026-11-24T09:30:00Z'],
  ['12h', '2026-11-23T22:00:00Z'],
  ['7d', '2026-11-17T10:00:00Z'],
  ['0s', '2026-11-24T10:00:00Z'],
  ['2026-11-20', '2026-11-20T00:00:00Z'],
  ['2026-11-20T08:00:00+02:00', '2026-11-20T06:00:00Z'],
  ['2026-11-20T08:00', '2026-11-20T08:00:00Z'],
  ['2026-11-20 08:00:30', '2026-11-20T08:00:30Z'],
  ['2026-11-20T08:00:30.250', '2026-11-20T08:00:30.250Z']
] as const) {
  t.test(`${text} is ${time}, whatever the zone of the process`, async t => {
    const zone = process.env['TZ']
    process.env['TZ'] = 'Europe/Berlin'
    t.teardown(() => {
      if (zone === undefined) delete process.env['TZ']
      else process.env['TZ'] = zone
    })
    t.equal(parseTime('--from', text, NOW), Date.parse(time))
  })
}

for (const text of [
  '',
  'yesterday',
  '5',
  '5w',
  '-5m',
  '1.5h',
  '9999999d',
  '2026-13-40',
  '2026-11-24T10:00:99Z'
]) {
  t.test(`${JSON.stringify(text)} is refused, and the option is named`, async t => {
    t.throws(
      () => parseTime('--from', text, NOW),
      new UsageError('--from must be a time such as 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d')
    )
  })
}
