// Tested by test/console/html.test.ts.
import type { FastifyRequest } from 'fastify'
import { formatDuration, isoTime } from '../duration.ts'
import { type Html, type HtmlValue, html } from './html.ts'

/** The parts that pages are made of. Each returns HTML in which all values are escaped. */

export type Tone = 'good' | 'warning' | 'bad' | 'neutral'

/** The state of a thing, in a word. The tone only repeats what the word says. */
export const pill = (tone: Tone, text: string): Html => html`<span class="pill ${tone}">${text}</span>`

/** A time in UTC, to the second; `–` if it is not one. @param ms unix milliseconds */
export function time(ms: number): Html {
  const iso = isoTime(ms)
  if (iso === undefined) return html`–`
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time>`
}

/** A length of time, such as `35 ms`, `40 s` or `12 min`: short ones matter for answers. */
export const duration = (ms: number): string => (ms < 1000 ? `${Math.round(ms)} ms` : formatDuration(ms))

/** How long ago a time was, such as `12 min ago`. */
export const ago = (atMs: number, nowMs: number): string => `${duration(Math.max(0, nowMs - atMs))} ago`

/** A time as its age, which is what matters on call; the time itself is in the markup. */
export function age(atMs: number | undefined, nowMs: number): Html | string {
  const iso = atMs === undefined ? undefined : isoTime(atMs)
  if (atMs === undefined || iso === undefined) return '–'
  return html`<time datetime="${iso}" title="${iso}">${duration(Math.max(1000, nowMs - atMs))} ago</time>`
}

/** A number with thousands separators; `–` if it is not known. */
export const number = (value: number | undefined): string =>
  value === undefined || Number.isNaN(value) ? '–' : value.toLocaleString('en-US')

export interface TableColumn<Row> {
  readonly title: string
  readonly cell: (row: Row) => HtmlValue
  /** Aligned to the right. */
  readonly isNumber?: boolean
}

/** A table, or `empty` without rows. @param caption for screen readers and headings alike */
export function table<Row>(
  caption: string,
  columns: readonly TableColumn<Row>[],
  rows: readonly Row[],
  empty: Html
): Html {
  if (rows.length === 0) return html`<div class="empty">${empty}</div>`
  const kind = ({ isNumber }: TableColumn<Row>): Html | undefined =>
    isNumber === true ? html` class="number"` : undefined
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0"><table><caption>${caption}</caption>
<thead><tr>${columns.map(column => html`<th scope="col"${kind(column)}>${column.title}</th>`)}</tr></thead>
<tbody>${rows.map(row => html`<tr>${columns.map(column => html`<td${kind(column)}>${column.cell(row)}</td>`)}</tr>`)}</tbody>
</table></div>`
}

/** Names and values, side by side. */
export const facts = (
  pairs: readonly (readonly [name: HtmlValue, value: HtmlValue])[],
  kind?: 'card'
): Html =>
  html`<dl class="facts${kind === undefined ? undefined : ` ${kind}`}">${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`

/** A large figure with its name. */
export const figure = (name: string, value: HtmlValue, note?: HtmlValue): Html =>
  html`<div class="figure"><dt>${name}</dt><dd>${value}${note === undefined ? undefined : html`<small>${note}</small>`}</dd></div>`

/** A problem in words: what it is, its consequence, and what to do. */
export function problem(
  severity: 'error' | 'warning',
  summary: string,
  consequence: string,
  fix: HtmlValue
): Html {
  return html`<section class="problem ${severity}"><h3>${severity === 'error' ? 'Error' : 'Warning'}: ${summary}</h3>
<p>${consequence}</p><p class="fix">${fix}</p></section>`
}

/** A form that makes a change. It has the token against cross-site requests. */
export const form = (request: FastifyRequest, action: string, body: Html): Html =>
  html`<form method="post" action="${action}"><input type="hidden" name="csrf" value="${request.csrfToken}">${body}</form>`

/** Asks before a change that cannot be taken back: a page of its own, so that it works without JavaScript. */
export function confirmation(
  request: FastifyRequest,
  options: {
    readonly question: string
    readonly consequence: string
    /** Where the confirmed form goes, and what is sent with it. */
    readonly action: string
    readonly fields: Readonly<Record<string, string>>
    readonly confirm: string
    /** Where "Cancel" leads. */
    readonly back: string
  }
): Html {
  return html`<section class="card narrow"><h2>${options.question}</h2><p>${options.consequence}</p>
${form(
  request,
  options.action,
  html`${hiddenFields(options.fields)}<div class="actions"><button class="danger" type="submit">${options.confirm}</button><a class="button" href="${options.back}">Cancel</a></div>`
)}</section>`
}

/** Values that a form sends without showing them. */
export const hiddenFields = (values: Readonly<Record<string, string>>): readonly Html[] =>
  Object.entries(values).map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)

/** Controls to the neighbouring pages of a list; nothing if there are none. */
export const pager = (...parts: readonly (Html | undefined)[]): Html | undefined =>
  parts.every(part => part === undefined)
    ? undefined
    : html`<nav class="pager" aria-label="Pages">${parts}</nav>`

/** A control of `pager`. `undefined`: there is no such page. */
export const pageLink = (path: string | undefined, label: string): Html | undefined =>
  path === undefined ? undefined : html`<a class="button" href="${path}">${label}</a>`

/** What was done, above a page. */
export const doneMessage = (message: string | undefined): Html | undefined =>
  message === undefined ? undefined : html`<p class="done" role="status">${message}</p>`

/** A text of an event: it must not change the order of what stands beside it. */
export const text = (value: string | undefined): Html =>
  value === undefined ? html`–` : html`<bdi>${value}</bdi>`
