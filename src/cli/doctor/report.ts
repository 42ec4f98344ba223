import type { Area, Check, Result, Status } from '../../tools/doctor/check.ts'
import type { RootCause } from '../../tools/doctor/root-cause.ts'
import { type Report, type Verdict, verdictOf } from '../../tools/doctor/run-checks.ts'
import { paint, type TerminalStyle, terminalSafe, wrap } from '../terminal.ts'

const areas: Readonly<Record<Area, string>> = {
  reach: 'Reach',
  signature: 'Signature',
  time: 'Age',
  idempotency: 'Idempotency',
  address: 'Sender’s address',
  body: 'Body',
  'edge-cases': 'Edge cases',
  http: 'HTTP',
  answers: 'Answers'
}

const colours = { pass: 'green', fail: 'red', warn: 'yellow', skip: 'gray' } as const

/** Failures are in capitals, so that they stand out without colour. */
const label = (status: Status): string => (status === 'fail' ? 'FAIL' : status)

/** The report for a person: root cause, a line per check, then each failure with its reason and remedy, and the sum. */
export function toText(report: Report, style: TerminalStyle): string {
  const { results, url, remoteAddress, readOnly, rootCause } = report
  const idWidth = Math.max(...results.map(({ check }) => check.id.length))
  const address = remoteAddress === undefined ? '' : ` (${remoteAddress})`
  const lines = [terminalSafe(`${url}${address}${readOnly ? ', read-only' : ''}`)]
  if (rootCause !== undefined) lines.push('', ...rootCauseLines(rootCause, style))
  let area: Area | undefined
  for (const result of results.filter(({ status }) => status !== 'skip')) {
    if (result.check.area !== area) {
      area = result.check.area
      lines.push('', paint(style, 'bold', areas[area]))
    }
    lines.push(...resultLines(result, idWidth, style))
  }
  lines.push(...skippedLines(results, style))
  for (const result of results.filter(({ status }) => status === 'fail'))
    lines.push('', ...failureLines(result, style))
  lines.push('', summary(report))
  return `${lines.map(line => line.trimEnd()).join('\n')}\n`
}

function rootCauseLines({ observed }: RootCause, style: TerminalStyle): string[] {
  const [first = '', ...rest] = wrap(observed, style.width - 12)
  return [`${paint(style, 'red', 'ROOT CAUSE')}  ${first}`, ...rest.map(line => ' '.repeat(12) + line)]
}

function resultLines({ check, status, observed }: Result, idWidth: number, style: TerminalStyle): string[] {
  const head = `  ${paint(style, colours[status], label(status))} ${check.id.padEnd(idWidth)}  `
  const indent = 2 + 4 + 1 + idWidth + 2
  const texts = {
    pass: [check.title],
    fail: [`Not so: ${check.title}`],
    warn: [check.title, observed],
    skip: []
  }[status]
  return texts
    .flatMap(text => wrap(text, style.width - indent))
    .map((line, index) => (index === 0 ? head : ' '.repeat(indent)) + line)
}

/** Skipped checks, grouped by their reason. */
function skippedLines(results: readonly Result[], style: TerminalStyle): string[] {
  const skipped = results.filter(({ status }) => status === 'skip')
  const reasons = [...new Set(skipped.map(({ observed }) => observed))]
  if (reasons.length === 0) return []
  const lines = reasons.flatMap(reason => {
    const ids = skipped.filter(({ observed }) => observed === reason).map(({ check }) => check.id)
    return [
      ...wrap(reason, style.width - 2).map(line => `  ${line}`),
      ...wrap(ids.join(', '), style.width - 4).map(line => `    ${line}`)
    ]
  })
  return ['', paint(style, 'bold', 'Skipped'), ...lines]
}

function failureLines({ check, observed }: Result, style: TerminalStyle): string[] {
  const part = (name: string, text: string): string[] =>
    wrap(text, style.width - 12).map((line, index) => `  ${(index === 0 ? name : '').padEnd(10)}${line}`)
  return [
    `${paint(style, 'red', 'FAIL')} ${paint(style, 'bold', check.id)}`,
    ...part('observed', observed),
    ...part('why', check.why),
    ...part('remedy', check.remedy)
  ]
}

function summary(report: Report): string {
  const { results, rootCause, durationMs } = report
  const count = (status: Status): number => results.filter(result => result.status === status).length
  const requests = results.reduce((total, result) => total + result.requests, 0)
  const verdicts: Readonly<Record<Verdict, string>> = {
    pass: 'PASS',
    fail: 'FAIL',
    skip: rootCause?.stops
      ? 'COULD NOT CHECK: see the root cause'
      : 'COULD NOT CHECK: authentic and forged deliveries are refused alike'
  }
  const counts = (['fail', 'warn', 'pass', 'skip'] as const).map(status => `${count(status)} ${status}`)
  return `${verdicts[verdictOf(report)]}: ${counts.join(', ')}; ${requests} requests in ${(durationMs / 1000).toFixed(1)} s`
}

const sumOfRequests = (checks: readonly Check[]): number =>
  checks.reduce((total, check) => total + check.requests, 0)

/** What a run would send: nothing else is sent. */
export function planText(checks: readonly Check[], url: URL, style: TerminalStyle): string {
  const lines = [terminalSafe(`At most ${sumOfRequests(checks)} requests would be sent to ${url.href}:`)]
  for (const { id, sends, expects, requests } of checks) {
    lines.push('', `${id} (${requests})`)
    lines.push(...wrap(`sends ${sends}`, style.width - 2).map(line => `  ${line}`))
    lines.push(...wrap(`expects ${expects}`, style.width - 2).map(line => `  ${line}`))
  }
  return `${lines.join('\n')}\n`
}

export function toJson(report: Report): object {
  const { url, readOnly, remoteAddress, rootCause, results, durationMs } = report
  return {
    url,
    readOnly,
    remoteAddress,
    durationMs: Math.round(durationMs),
    verdict: verdictOf(report),
    rootCause: rootCause === undefined ? null : { cause: rootCause.cause, observed: rootCause.observed },
    checks: results.map(({ check, status, observed, requests, durationMs }) => ({
      id: check.id,
      area: check.area,
      status,
      title: check.title,
      observed,
      requests,
      durationMs: Math.round(durationMs),
      ...(status === 'fail' ? { why: check.why, remedy: check.remedy } : {})
    }))
  }
}

export const planJson = (checks: readonly Check[], url: URL): object => ({
  url: url.href,
  requests: sumOfRequests(checks),
  checks: checks.map(({ id, area, title, sends, requests, expects, why, remedy }) => ({
    ...{ id, area, title, sends, requests, expects, why, remedy }
  }))
})
