import { styleText } from 'node:util'
import type { Area, Check, Status } from '../../tools/doctor/check.ts'
import type { RootCause } from '../../tools/doctor/root-cause.ts'
import type { Examination, Result } from '../../tools/doctor/run-checks.ts'
import { type Verdict, verdictOf } from '../../tools/doctor/verdict.ts'

/** How wide prose is at most: longer lines tire the eye. */
const MAX_WIDTH = 100

const areas: Readonly<Record<Area, string>> = {
  reach: 'Reach',
  signature: 'Signature',
  time: 'Age',
  once: 'Once',
  address: 'Sender’s address',
  body: 'Body',
  oddities: 'Authentic oddities',
  http: 'HTTP',
  answers: 'Answers'
}

const words: Readonly<Record<Status, string>> = { well: 'ok', wrong: 'WRONG', note: 'note', unjudged: '-' }
const colours = { well: 'green', wrong: 'red', note: 'yellow', unjudged: 'gray' } as const

export interface Look {
  readonly colour: boolean
  /** Columns of the terminal. */
  readonly width: number
}

/** The report for a person: the root cause, a line per check, what is wrong with reasons and remedies, the sum. */
export function toText(examination: Examination, look: Look): string {
  const { results, url, remoteAddress, readOnly, rootCause } = examination
  const width = Math.min(MAX_WIDTH, Math.max(50, look.width))
  const idWidth = Math.max(...results.map(({ check }) => check.id.length))
  const lines = [
    `${url}${remoteAddress === undefined ? '' : ` (${remoteAddress})`}${readOnly ? ', read-only' : ''}`
  ]
  if (rootCause !== undefined) lines.push('', ...rootCauseRows(rootCause, width, look))
  let area: Area | undefined
  for (const result of results.filter(({ status }) => status !== 'unjudged')) {
    if (result.check.area !== area) {
      area = result.check.area
      lines.push('', paint(look, 'bold', areas[area]))
    }
    lines.push(...row(result, idWidth, width, look))
  }
  lines.push(...unjudgedRows(results, width, look))
  const wrong = results.filter(({ status }) => status === 'wrong')
  for (const result of wrong) lines.push('', ...fault(result, width, look))
  lines.push('', sum(examination))
  return `${lines.map(line => line.trimEnd()).join('\n')}\n`
}

function rootCauseRows({ saw }: RootCause, width: number, look: Look): string[] {
  const [first = '', ...rest] = wrap(saw, width - 12)
  return [`${paint(look, 'red', 'ROOT CAUSE')}  ${first}`, ...rest.map(line => ' '.repeat(12) + line)]
}

function row({ check, status, saw }: Result, idWidth: number, width: number, look: Look): string[] {
  const head = `  ${paint(look, colours[status], words[status].padEnd(6))} ${check.id.padEnd(idWidth)}  `
  const indent = 2 + 6 + 1 + idWidth + 2
  const told =
    status === 'well' ? [check.title] : status === 'wrong' ? [`Not so: ${check.title}`] : [check.title, saw]
  return told
    .flatMap(text => wrap(text, width - indent))
    .map((line, index) => (index === 0 ? head : ' '.repeat(indent)) + line)
}

/** Checks that nothing can be said of, by the reason, which many of them may share. */
function unjudgedRows(results: readonly Result[], width: number, look: Look): string[] {
  const unjudged = results.filter(({ status }) => status === 'unjudged')
  const reasons = [...new Set(unjudged.map(({ saw }) => saw))]
  if (reasons.length === 0) return []
  const told = reasons.flatMap(reason => {
    const ids = unjudged.filter(({ saw }) => saw === reason).map(({ check }) => check.id)
    return [
      ...wrap(reason, width - 2).map(line => `  ${line}`),
      ...wrap(ids.join(', '), width - 4).map(line => `    ${line}`)
    ]
  })
  return ['', paint(look, 'bold', 'Not judged'), ...told]
}

function fault({ check, saw }: Result, width: number, look: Look): string[] {
  const part = (name: string, text: string): string[] =>
    wrap(text, width - 12).map((line, index) => `  ${(index === 0 ? name : '').padEnd(10)}${line}`)
  return [
    `${paint(look, 'red', 'WRONG')} ${paint(look, 'bold', check.id)}`,
    ...part('what', saw),
    ...part('why', check.why),
    ...part('mend', check.mend)
  ]
}

function sum(examination: Examination): string {
  const { results, durationMs } = examination
  const count = (status: Status): number => results.filter(result => result.status === status).length
  const requests = results.reduce((total, result) => total + result.requests, 0)
  const wrong = count('wrong')
  const verdicts: Readonly<Record<Verdict, string>> = {
    well: 'Nothing is wrong',
    wrong: `${wrong} wrong`,
    unjudged: examination.rootCause?.stops
      ? 'COULD NOT JUDGE: see the root cause'
      : 'COULD NOT JUDGE: authentic and forged deliveries are turned away alike'
  }
  return [
    `${verdicts[verdictOf(examination)]}: ${count('well')} ok`,
    `${count('note')} to note`,
    `${count('unjudged')} not judged; ${requests} requests in ${(durationMs / 1000).toFixed(1)} s`
  ].join(', ')
}

/** What an examination would send: nothing else leaves. */
export function planText(checks: readonly Check[], url: URL, look: Look): string {
  const width = Math.min(MAX_WIDTH, Math.max(50, look.width))
  const requests = checks.reduce((total, check) => total + check.requests, 0)
  const lines = [`To ${url.href} would be sent, at most ${requests} requests:`]
  for (const { id, sends, expects, requests } of checks) {
    lines.push('', `${id} (${requests})`)
    lines.push(...wrap(`sends ${sends}`, width - 2).map(line => `  ${line}`))
    lines.push(...wrap(`expects ${expects}`, width - 2).map(line => `  ${line}`))
  }
  return `${lines.join('\n')}\n`
}

export function toJson(examination: Examination): object {
  const { url, readOnly, remoteAddress, rootCause, results, durationMs } = examination
  return {
    url,
    readOnly,
    remoteAddress,
    durationMs: Math.round(durationMs),
    verdict: verdictOf(examination),
    rootCause: rootCause === undefined ? null : { cause: rootCause.cause, saw: rootCause.saw },
    checks: results.map(({ check, status, saw, requests, durationMs }) => ({
      id: check.id,
      area: check.area,
      status,
      title: check.title,
      saw,
      requests,
      durationMs: Math.round(durationMs),
      ...(status === 'wrong' ? { why: check.why, mend: check.mend } : {})
    }))
  }
}

/** A plan as JSON: what each check sends, expects, and why. */
export const planJson = (checks: readonly Check[], url: URL): object => ({
  url: url.href,
  requests: checks.reduce((total, check) => total + check.requests, 0),
  checks: checks.map(({ id, area, title, sends, requests, expects, why, mend }) => ({
    ...{ id, area, title, sends, requests, expects, why, mend }
  }))
})

const paint = (look: Look, format: Parameters<typeof styleText>[0], text: string): string =>
  look.colour ? styleText(format, text) : text

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  // What a server wrote may hold what moves a terminal's cursor.
  for (const word of text.replace(/[\p{Cc}\p{Cf}]/gu, ' ').split(/ +/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
