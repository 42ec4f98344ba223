import t from 'tap'
import { planText, toJson, toText } from '../../../src/cli/doctor/report.ts'
import type { Result } from '../../../src/tools/doctor/check.ts'
import { allChecks, type Report } from '../../../src/tools/doctor/run-checks.ts'

const HOSTILE = 'server: \u001b[2J\u202e evil\r\nPASS: 0 fail'
const style = { colour: false, width: 80 }
const checks = allChecks()
const results = (['fail', 'warn', 'skip', 'pass'] as const).flatMap((status, index): Result[] => {
  const check = checks[index]
  return check === undefined ? [] : [{ check, status, observed: HOSTILE, requests: 1, durationMs: 1 }]
})
const report: Report = {
  url: 'https://hooks.example.com/',
  readOnly: false,
  remoteAddress: '192.0.2.1',
  rootCause: { cause: 'key', observed: HOSTILE, stops: false },
  results,
  durationMs: 1234
}

t.test('text that a server wrote stays on its line and does not control the terminal', async t => {
  const text = toText(report, style)
  const escaped = 'server: \\u001b[2J\\u202e evil\\u000d\\nPASS: 0 fail'
  t.match(text, `ROOT CAUSE  ${escaped}\n`)
  t.match(text, `\n  observed  ${escaped}\n`)
  t.notMatch(text, /[\r\u202e]|^PASS/m)
  t.equal(text.split('\n').filter(line => line.includes('evil')).length, 4)
})

t.test('lines are as wide as the terminal at most, and the sum comes last', async t => {
  const text = toText(report, style)
  t.ok(text.split('\n').every(line => line.length <= 80))
  t.match(text, /\nFAIL: 1 fail, 1 warn, 1 pass, 1 skip; 4 requests in 1\.2 s\n$/)
  t.match(planText(checks, new URL(report.url), style), /^At most \d+ requests would be sent to https:/)
})

t.test('in JSON a failure has its reason and remedy, the others do not', async t => {
  const { checks: rows, ...rest } = JSON.parse(JSON.stringify(toJson(report)))
  t.match(rest, { verdict: 'fail', rootCause: { cause: 'key', observed: HOSTILE }, durationMs: 1234 })
  t.same(
    rows.map((row: object) => [Reflect.get(row, 'status'), 'why' in row, 'remedy' in row]),
    [
      ['fail', true, true],
      ['warn', false, false],
      ['skip', false, false],
      ['pass', false, false]
    ]
  )
})
