import type { Examination, Result } from './run-checks.ts'
import { verdictOf } from './verdict.ts'

/**
 * An examination as JUnit XML: one case a check, wrong ones as failures, unjudged ones as skipped, so that a CI
 * page shows them; and one more, an error, where the whole could not be judged, so that the page is not green. (The format has no standard; this is the part that Jenkins, GitLab and GitHub readers share.)
 */
export function toJunit(examination: Examination): string {
  const { results, url, durationMs } = examination
  const count = (status: Result['status']): number =>
    results.filter(result => result.status === status).length
  const isOpen = verdictOf(examination) === 'unjudged'
  const totals = `tests="${results.length + (isOpen ? 1 : 0)}" failures="${count('wrong')}" errors="${isOpen ? 1 : 0}" skipped="${count('unjudged')}" time="${seconds(durationMs)}"`
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites ${totals}>
  <testsuite name="${escapeXml(`cio-webhook doctor ${url}`)}" ${totals}>
${[...results.map(testCase), ...(isOpen ? [openCase(examination)] : [])].join('\n')}
  </testsuite>
</testsuites>
`
}

const openCase = ({ rootCause }: Examination): string =>
  `    <testcase classname="doctor" name="the endpoint could be judged" time="0.000">
      <error message="${escapeXml(`Could not be judged: ${rootCause?.saw ?? 'authentic and forged deliveries are refused alike.'}`)}"/>
    </testcase>`

function testCase({ check, status, saw, durationMs }: Result): string {
  const head = `    <testcase classname="doctor.${check.area}" name="${escapeXml(`${check.id}: ${check.title}`)}" time="${seconds(durationMs)}"`
  switch (status) {
    case 'wrong':
      return `${head}>
      <failure message="${escapeXml(saw)}">${escapeXml(`${saw}\nWhy it matters: ${check.why}\nHow to mend it: ${check.mend}`)}</failure>
    </testcase>`
    case 'unjudged':
      return `${head}>
      <skipped message="${escapeXml(saw)}"/>
    </testcase>`
    case 'note':
      return `${head}>
      <system-out>${escapeXml(`Note: ${saw}`)}</system-out>
    </testcase>`
    case 'well':
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

/** For attributes and text. What XML 1.0 can't hold at all becomes a replacement character. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"\n]/g, character => entities[character] ?? '')
}
