import t from 'tap'
import type { Result } from '../../../src/tools/doctor/check.ts'
import { toJunit } from '../../../src/tools/doctor/junit.ts'
import { allChecks, type Report } from '../../../src/tools/doctor/run-checks.ts'

const [check] = allChecks()
if (check === undefined) throw new Error('there are no checks')
const result = (status: Result['status'], observed: string): Result => ({
  check,
  status,
  observed,
  requests: 1,
  durationMs: 12
})

t.test('each status has its own form, and no text of a server breaks the file', async t => {
  const hostile = 'a "quoted" <b>&\u0000\ud800\u001b[31m ]]>'
  const report: Report = {
    url: 'http://127.0.0.1/?a=1&b="2"',
    readOnly: false,
    remoteAddress: undefined,
    rootCause: undefined,
    results: [result('pass', 'x'), result('fail', hostile), result('warn', 'n'), result('skip', 'u')],
    durationMs: 1234.5
  }
  const xml = toJunit(report)
  t.match(xml, '<testsuites tests="4" failures="1" errors="0" skipped="1" time="1.234">')
  t.match(xml, 'name="cio-webhook doctor http://127.0.0.1/?a=1&amp;b=&quot;2&quot;"')
  t.match(xml, '<failure message="a &quot;quoted&quot; &lt;b&gt;&amp;\ufffd\ufffd\ufffd[31m ]]&gt;">')
  t.match(xml, '<skipped message="u"/>')
  t.match(xml, '<system-out>Warning: n</system-out>')
  t.equal(xml.match(/<testcase /g)?.length, 4)
  t.equal(xml.match(/<\/testcase>/g)?.length, 3)
})
