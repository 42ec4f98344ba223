import t from 'tap'
import { createExportReport } from '../../src/ops/export-report.ts'
import { createLogger } from '../../src/ops/logger.ts'

t.test('a collector that fails and recovers all the time costs one line per minute', async t => {
  const lines: string[] = []
  const { log } = createLogger('info', { write: line => void lines.push(line) })
  let nowMs = 0
  const report = createExportReport('http://collector:4318', log, () => nowMs)
  const refused = Object.assign(new Error('connect ECONNREFUSED hunter2'), { code: 'ECONNREFUSED' })
  const answered = Object.assign(new Error('hunter2'), { code: 429 })
  for (; nowMs < 120_000; nowMs += 1000) report(nowMs < 60_000 ? refused : answered, 10)
  t.match(
    lines.map(line => JSON.parse(line)),
    [
      { level: 'warn', collector: 'http://collector:4318', code: 'ECONNREFUSED', spans: 10 },
      { level: 'warn', code: 'status 429', spans: 600 }
    ]
  )
  t.notMatch(lines.join(''), /hunter2/)
})
