import { pino } from 'pino'
import t from 'tap'
import type { Dropped } from '../../src/log/stream-limits.ts'
import { createDropReport } from '../../src/ops/drop-report.ts'

const parked: Dropped = { what: 'parked deliveries', consumer: undefined, reason: 'size', entries: 2 }
const letters: Dropped = { what: 'dead letters', consumer: 'crm', reason: 'age', entries: 1 }

t.test('drops are counted each time, and logged at once, then as a sum per minute', t => {
  const counted: Dropped[] = []
  const lines: Record<string, unknown>[] = []
  const log = pino({}, { write: line => void lines.push(JSON.parse(line)) })
  const { report, stop } = createDropReport({ dropped: each => void counted.push(each) }, log)
  report(parked)
  t.match(lines, [
    {
      level: 40,
      dropped: 2,
      reason: 'size',
      msg: '2 parked deliveries were dropped: they exceeded PARKED_MAX_BYTES. Process the others (cio-webhook consumers), or raise PARKED_MAX_BYTES'
    }
  ])
  report(parked)
  report(letters)
  report(parked)
  t.equal(lines.length, 1, 'a flood is one line a minute')
  stop()
  t.match(lines.slice(1), [
    { dropped: 4, reason: 'size' },
    {
      dropped: 1,
      reason: 'age',
      consumer: 'crm',
      msg: '1 dead letters of consumer crm were dropped: they exceeded DEAD_LETTER_RETENTION_SECONDS. Process the others (cio-webhook consumers), or raise DEAD_LETTER_RETENTION_SECONDS'
    }
  ])
  t.same(counted, [parked, parked, letters, parked])
  t.end()
})
