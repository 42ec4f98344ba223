// Tested by test/cli/reconcile/command.slow.test.ts.
import type { Reconciled } from '../../tools/reconcile/reconcile.ts'
import type { Report } from '../../tools/reconcile/report.ts'
import { table } from '../table.ts'

/** Rows of a table; the ones with most missing events first. */
const MAX_ROWS = 20

/** How many events are missing and were not appended. */
export const stillMissing = ({ missing, filled, arrived }: Report): number =>
  Math.max(0, missing - filled - arrived)

export function reconciledJson({ report, indexSinceMs, isFinished }: Reconciled) {
  const indexSince = new Date(indexSinceMs).toISOString()
  return { isFinished, indexSince, stillMissing: stillMissing(report), ...report }
}

const NEXT =
  '\nNext: correct the webhook if cio-webhook connect status shows a problem; then append what is missing with cio-webhook reconcile --fill.\n'

export function reconciledText({ report, indexSinceMs }: Reconciled): string {
  const { messages, checked, found, missing, waiting, filled, arrived } = report
  const lines = [
    `${count(messages)} messages, ${count(checked)} events checked: ${count(found)} found, ${count(missing)} missing`
  ]
  if (filled + arrived > 0) {
    lines.push(`${count(filled)} of the missing ones were appended, ${count(arrived)} had arrived meanwhile`)
  }
  if (waiting > 0) {
    lines.push(
      `${count(waiting)} more are not in the log, but newer than the events that arrive now: Customer.io can still send them`
    )
  }
  return [
    `${lines.join('\n')}\n`,
    missing === 0 ? '' : tables(report),
    `\nNot checked:\n${notChecked(report, indexSinceMs).join('\n')}\n`,
    stillMissing(report) === 0 ? '' : NEXT
  ].join('')
}

const tables = (report: Report): string =>
  [
    rows('object type', report.byObjectType),
    rows('metric', report.byMetric),
    rows('campaign', report.byCampaign),
    rows('hour (UTC)', report.byHour)
  ]
    .map(text => `\n${text}`)
    .join('')

function rows(heading: string, byName: Report['byMetric']): string {
  const found = Object.entries(byName)
    .filter(([, { missing }]) => missing > 0)
    .sort(([, a], [, b]) => b.missing - a.missing)
  const shown = table(found.slice(0, MAX_ROWS), [
    { heading, value: ([name]) => name },
    { heading: 'checked', value: ([, { checked }]) => checked },
    { heading: 'missing', value: ([, { missing }]) => missing }
  ])
  return found.length <= MAX_ROWS ? shown : `${shown}and ${found.length - MAX_ROWS} more: see --json\n`
}

function notChecked({ notChecked }: Report, indexSinceMs: number): readonly string[] {
  const { beforeIndex, notInWebhook, otherMetrics, unreadable } = notChecked
  const since = new Date(indexSinceMs).toISOString()
  const named = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, number]) => `${name} ${count(number)}`)
      .join(', ')
  return [
    `  events before ${since}: nothing remembers whether they were appended${beforeIndex === 0 ? '' : ` (${count(beforeIndex)})`}`,
    '  customer.* events, drafts, opens and clicks after the first, messages that were created before --from',
    ...(Object.keys(notInWebhook).length === 0
      ? []
      : [
          `  events that the webhook does not ask for: ${named(notInWebhook)}; cio-webhook connect adds them`
        ]),
    ...(Object.keys(otherMetrics).length === 0
      ? []
      : [`  metrics that can be without an event: ${named(otherMetrics)}`]),
    ...(unreadable === 0 ? [] : [`  items of the list without an id or a type: ${count(unreadable)}`])
  ]
}

const count = (number: number): string => number.toLocaleString('en-US')
