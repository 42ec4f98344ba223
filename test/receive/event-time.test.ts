import fc from 'fast-check'
import t from 'tap'
import { LosslessNumber } from '../../src/exact-json.ts'
import { eventTimeMs } from '../../src/receive/event-time.ts'

const MOMENT = '2026-11-26T10:00:00.123Z'
const MOMENT_MS = Date.parse(MOMENT)

t.test('each format of a time', t => {
  const rows: readonly (readonly [string, unknown, string])[] = [
    ['seconds', 1_795_510_800, '2026-11-24T09:00:00.000Z'],
    ['the beginning of time', 0, '1970-01-01T00:00:00.000Z'],
    ['fractional seconds', 1.5, '1970-01-01T00:00:01.500Z'],
    ['milliseconds', MOMENT_MS, MOMENT],
    ['microseconds', MOMENT_MS * 1000 + 456, MOMENT],
    ['nanoseconds', new LosslessNumber(`${MOMENT_MS}000001`), MOMENT],
    ['a number that is not exact', new LosslessNumber('1795510800.50'), '2026-11-24T09:00:00.500Z'],
    ['seconds as text', '1795510800', '2026-11-24T09:00:00.000Z'],
    ['milliseconds as text', ` ${MOMENT_MS} `, MOMENT],
    ['seconds as decimal text', '1795510800.250', '2026-11-24T09:00:00.250Z'],
    ['RFC 3339', MOMENT, MOMENT],
    ['in lower case, with a blank', '2026-11-26 10:00:00z', '2026-11-26T10:00:00.000Z'],
    ['an offset', '2026-11-26T11:30:00.123+01:30', MOMENT],
    ['an offset without its colon', '2026-11-26T02:00:00.123-0800', MOMENT],
    ['nanoseconds in a fraction', '2026-11-26T10:00:00.123456789Z', MOMENT],
    ['a leap day', '2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z']
  ]
  for (const [name, timestamp, expected] of rows) {
    const ms = eventTimeMs(timestamp)
    t.equal(ms === undefined ? ms : new Date(ms).toISOString(), expected, name)
  }
  t.end()
})

t.test('values that are not times', t => {
  for (const timestamp of [
    undefined,
    null,
    true,
    {},
    [1_795_510_800],
    '',
    ' ',
    'now',
    'null',
    '0x6a',
    '1e9',
    '-1',
    '+1795510800',
    '1795510800s',
    '2026-11-26',
    '2026-11-26T10:00:00',
    '2026-11-26T25:00:00Z',
    '2026-11-26T24:00:00Z',
    '2026-02-30T10:00:00Z',
    '2026-13-01T10:00:00Z',
    '2026-11-26T10:00:00+25:00',
    '1815-12-10T00:00:00Z',
    'Thu, 26 Nov 2026 10:00:00 GMT',
    '9'.repeat(30),
    -1,
    1e20,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    new LosslessNumber('1e400'),
    new LosslessNumber('-0.5')
  ]) {
    t.equal(eventTimeMs(timestamp), undefined, String(timestamp))
  }
  t.end()
})

t.test('a time is the same in every unit and format, and no value throws', t => {
  const ms = fc.integer({ min: 1e11 + 1, max: Date.parse('5000-01-01') })
  fc.assert(
    fc.property(ms, fc.integer({ min: -14 * 60, max: 14 * 60 }), (moment, offsetMinutes) => {
      const sign = offsetMinutes < 0 ? '-' : '+'
      const minutes = Math.abs(offsetMinutes)
      const offset = `${sign}${String(Math.floor(minutes / 60)).padStart(2, '0')}:${String(minutes % 60).padStart(2, '0')}`
      const local = new Date(moment + offsetMinutes * 60_000).toISOString().slice(0, -1)
      for (const way of [
        moment,
        String(moment),
        new Date(moment).toISOString(),
        local + offset,
        moment / 1000,
        new LosslessNumber(`${moment}123456`)
      ]) {
        if (eventTimeMs(way) !== moment) throw new Error(`${way} is ${eventTimeMs(way)}, not ${moment}`)
      }
    })
  )
  fc.assert(
    fc.property(fc.anything(), value => {
      const result = eventTimeMs(value)
      if (result !== undefined) new Date(result).toISOString()
    })
  )
  t.end()
})
