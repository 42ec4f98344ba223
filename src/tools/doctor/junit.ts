import type { Result } from './check.ts'
import { type Report, verdictOf } from './run-checks.ts'

/**
 * A report as JUnit XML: one case per check, failed and skipped ones as such. If the verdict is `skip`, one more case
 * with an error keeps a CI page from being green. The format has no standard; this is the part that the readers of
 * Jenkins, GitLab and GitHub share.
 */
export function toJunit(report: Report): string {
  const { results, url, durationMs } = report
  const count = (status: Result['status']): number =>
    results.filter(result => result.status === status).length
  const isSkipped = verdictOf(report) === 'skip'
  const totals = `tests="${results.length + (isSkipped ? 1 : 0)}" failures="${count('fail')}" errors="${isSkipped ? 1 : 0}" skipped="${count('skip')}" time="${seconds(durationMs)}"`
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites ${totals}>
  <testsuite name="${escapeXml(`cio-webhook doctor ${url}`)}" ${totals}>
${[...results.map(testCase), ...(isSkipped ? [skippedCase(report)] : [])].join('\n')}
  </testsuite>
</testsuites>
`
}

const skippedCase = ({ rootCause }: Report): string =>
  `    <testcase classname="doctor" name="the endpoint can be checked" time="0.000">
      <error message="${escapeXml(`Could not be checked: ${rootCause?.observed ?? 'authentic and forged deliveries are refused alike.'}`)}"/>
    </testcase>`

function testCase({ check, status, observed, durationMs }: Result): string {
  const head = `    <testcase classname="doctor.${check.area}" name="${escapeXml(`${check.id}: ${check.title}`)}" time="${seconds(durationMs)}"`
  switch (status) {
    case 'fail':
      return `${head}>
      <failure message="${escapeXml(observed)}">${escapeXml(`${observed}\nWhy it matters: ${check.why}\nRemedy: ${check.remedy}`)}</failure>
    </testcase>`
    case 'skip':
      return `${head}>
      <skipped message="${escapeXml(observed)}"/>
    </testcase>`
    case 'warn':
      return `${head}>
      <system-out>${escapeXml(`Warning: ${observed}`)}</system-out>
    </testcase>`
    case 'pass':
      return `${head}/>`
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3)

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;'
}

/** For attributes and text. Characters that XML 1.0 does not allow become replacement characters. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"\n]/g, character => entities[character] ?? '')
}
