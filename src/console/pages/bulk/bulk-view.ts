// Tested by test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { duration, form, number } from '../../components.ts'
import { type Html, html } from '../../html.ts'
import { isOperator } from '../change.ts'
import { text } from '../events/list-view.ts'
import type { BulkState } from './bulk-actions.ts'

const words = {
  replay: { running: 'Replaying', done: 'replayed' },
  drop: { running: 'Dropping', done: 'dropped' }
} as const

/**
 * A running or finished replay or drop. While it runs, the part is loaded again every second with JavaScript, and with
 * the page without.
 *
 * @param path answers with this part, and with `/stop` ends the bulk action
 */
export function bulkView(
  request: FastifyRequest,
  state: BulkState | undefined,
  path: string,
  nowMs: number
): Html | undefined {
  if (state === undefined) return undefined
  const { action, who, outcome, total, handled, startedAtMs } = state
  if (outcome !== 'running') return ended(state, nowMs)
  const of = total === undefined ? '' : ` of ${number(total)}`
  return html`<section class="card bulk" aria-label="Progress" hx-get="${path}" hx-trigger="every 1s" hx-swap="outerHTML">
<p role="status">${words[action].running}: ${number(handled)}${of} handled, started by ${who} ${duration(Math.max(0, nowMs - startedAtMs))} ago.</p>
<progress aria-label="Handled" max="${total ?? 1}" value="${total === undefined ? 0 : handled}"></progress>
<div class="actions">${isOperator(request) ? form(request, `${path}/stop`, html`<button type="submit">Interrupt</button>`) : undefined}<a class="button" href="">Reload</a></div></section>`
}

function ended(
  { action, who, outcome, handled, left, leftCount, unknownCount, updatedAtMs }: BulkState,
  nowMs: number
): Html {
  const done = `${number(handled - leftCount)} ${words[action].done}`
  const age = `${duration(Math.max(0, nowMs - updatedAtMs))} ago, by ${who}`
  const parts = [
    leftCount === 0 ? undefined : `${number(leftCount)} left`,
    unknownCount === 0 ? undefined : `${number(unknownCount)} did not exist any more`
  ].filter(part => part !== undefined)
  const isGood = outcome === 'done' && leftCount === 0
  const ending = {
    running: '',
    done: '',
    interrupted: ' It was interrupted: start it again for the rest.',
    failed: ' It failed, the log of the service has the cause: start it again for the rest.'
  }[outcome]
  return html`<section class="${isGood ? 'done' : 'problem'} bulk" aria-label="Result"><p role="status">${[done, ...parts].join(', ')} (${age}).${ending}</p>
${left.length === 0 ? undefined : html`<details><summary>Why they are left</summary><ul>${left.map(({ name, why }) => html`<li><code>${name}</code>: ${text(why)}</li>`)}</ul>${leftCount > left.length ? html`<p>… and ${number(leftCount - left.length)} more.</p>` : undefined}</details>`}</section>`
}
