// Tested by test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BulkState } from '../../../tools/bulk/bulk-actions.ts'
import { isOperator } from '../../access.ts'
import { ago, form, number, text } from '../../components.ts'
import { type Html, html } from '../../html.ts'

const words = {
  replay: { running: 'Replaying', done: 'replayed' },
  drop: { running: 'Dropping', done: 'dropped' }
} as const

/**
 * A running or finished replay or drop.
 *
 * @param path answers with `sendProgress`, and with `/stop` ends the bulk action
 */
export function bulkView(
  request: FastifyRequest,
  state: BulkState | undefined,
  path: string,
  nowMs: number
): Html | undefined {
  if (state === undefined) return undefined
  if (state.outcome !== 'running') return ended(state, nowMs)
  const stop = form(request, `${path}/stop`, html`<button type="submit">Interrupt</button>`)
  return html`<section class="card bulk" aria-label="Progress"><div hx-get="${path}" hx-trigger="every 1s" hx-swap="innerHTML">${progress(state, nowMs)}</div>
<div class="actions">${isOperator(request) ? stop : undefined}<a class="button" href="">Reload</a></div></section>`
}

/** Answers the request that asks each second, with JavaScript. At the end the page is loaded again, with its new rows. */
export function sendProgress(reply: FastifyReply, state: BulkState | undefined, nowMs: number): FastifyReply {
  const isRunning = state?.outcome === 'running'
  if (!isRunning) reply.header('hx-refresh', 'true')
  return reply.type('text/html; charset=utf-8').send(isRunning ? progress(state, nowMs).text : '')
}

function progress({ action, who, total, handled, startedAtMs }: BulkState, nowMs: number): Html {
  const of = total === undefined ? '' : ` of ${number(total)}`
  return html`<p role="status">${words[action].running}: ${number(handled)}${of} handled, started by ${who} ${ago(startedAtMs, nowMs)}.</p>
<progress aria-label="Handled" max="${total ?? 1}" value="${total === undefined ? 0 : handled}"></progress>`
}

function ended(
  { action, who, outcome, handled, left, leftCount, unknownCount, updatedAtMs }: BulkState,
  nowMs: number
): Html {
  const done = `${number(handled - leftCount)} ${words[action].done}`
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
  return html`<section class="${isGood ? 'done' : 'problem'} bulk" aria-label="Result"><p role="status">${[done, ...parts].join(', ')} (${ago(updatedAtMs, nowMs)}, by ${who}).${ending}</p>
${left.length === 0 ? undefined : html`<details><summary>Why they are left</summary><ul>${left.map(({ name, why }) => html`<li><code>${name}</code>: ${text(why)}</li>`)}</ul>${leftCount > left.length ? html`<p>… and ${number(leftCount - left.length)} more.</p>` : undefined}</details>`}</section>`
}
