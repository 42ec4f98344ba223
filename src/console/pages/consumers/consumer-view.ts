// Tested by test/console/pages/consumers.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import type { Attempt } from '../../../dispatch/attempts.ts'
import type { ConsumerStatus } from '../../../dispatch/consumer-status.ts'
import type { ConsumerDetails } from '../../../tools/consumers/actions.ts'
import type { DeliveryRate } from '../../../tools/consumers/delivery-rate.ts'
import { isOperator } from '../../access.ts'
import { ago, duration, facts, figure, form, number, table, text, time } from '../../components.ts'
import { type Html, type HtmlValue, html } from '../../html.ts'
import { attemptColumns } from '../attempt-columns.ts'
import { eventLink } from '../events/list-view.ts'
import { consumerPath, lastFailure, rateText, stateView } from './list-view.ts'

export function consumerView(
  request: FastifyRequest,
  { status, settings, deadByReason, attempts }: ConsumerDetails,
  rate: DeliveryRate | undefined,
  nowMs: number
): Html {
  const { name, type, dead } = status
  return html`<div hx-sse:connect="/live/consumers/${encodeURIComponent(name)}" hx-swap="innerHTML">${figuresView(status, rate, nowMs)}</div>
${isOperator(request) ? actionsView(request, status, settings !== undefined) : undefined}
<h2>Dead letters</h2>
${
  dead === 0
    ? html`<p class="lead">None.</p>`
    : html`<p>${Object.entries(deadByReason).map(([reason, count]) => html`<a class="button" href="${consumerPath(name, `/dead-letters?${new URLSearchParams({ reason }).toString()}`)}">${text(reason)}: ${number(count)}</a> `)}<a class="button" href="${consumerPath(name, '/dead-letters')}">All ${number(dead)}</a></p>`
}
<h2>Newest attempts</h2>
${attemptsView(attempts, settings !== undefined)}
<h2>Settings</h2>
${settings === undefined ? html`<p class="lead">It is not in <code>CONSUMERS_FILE</code>: ${type === 'redis' ? 'a plain Redis Streams group' : 'a consumer of the library, or one that was taken out of the file'}.</p>` : settingsView(settings)}`
}

/** What changes while one looks. */
export function figuresView(status: ConsumerStatus, rate: DeliveryRate | undefined, nowMs: number): Html {
  const { type, state, lag, pending, queued, oldestAgeMs, members, failures, dead } = status
  const when = (atMs: number | undefined): HtmlValue =>
    atMs === undefined ? '–' : html`${time(atMs)} (${ago(atMs, nowMs)})`
  return html`<dl class="figures">${figure('State', stateView(status, nowMs), meanings[state])}
${figure('Not read', number(lag), lag === undefined ? 'not known to Redis' : 'events in the log')}
${figure('Pending', number(pending + queued), queued === 0 ? 'delivered, not acknowledged' : `${number(queued)} of them in its queue`)}
${figure('Oldest event', oldestAgeMs === undefined ? '–' : duration(oldestAgeMs), oldestAgeMs === undefined ? 'nothing waits' : 'not acknowledged')}
${figure('Events per minute', rateText(rate), rate === undefined ? 'only known of push consumers' : 'accepted in the last minute')}
${figure('Dead letters', number(dead))}</dl>
${facts([
  ['Kind', type],
  ['Members', number(members)],
  ['Last active', when(status.lastActiveMs)],
  ['Last success', when(status.lastSuccessAtMs)],
  ['Last failure', lastFailure(status, nowMs)],
  ['Failed attempts', number(failures)]
])}`
}

const meanings: Readonly<Record<ConsumerStatus['state'], string>> = {
  ok: 'it gets its events',
  failing: 'its last attempt failed',
  paused: 'its events stay in the log',
  disabled: 'it answered 410 and gets no events until it is enabled',
  no_members: 'nothing reads for it, and the log keeps its events'
}

/** Other kinds of consumers run in processes of their own, so they can only be removed. */
function actionsView(
  request: FastifyRequest,
  { name, pausedAtMs, disabledAtMs }: ConsumerStatus,
  isPush: boolean
): Html {
  const button = (action: string, label: string, kind = ''): Html =>
    form(
      request,
      consumerPath(name, `/${action}`),
      html`<button class="${kind}" type="submit">${label}</button>`
    )
  return html`<section class="actions" aria-label="Actions">${isPush ? push() : undefined}<a class="button" href="${consumerPath(name, '/remove')}">Remove …</a></section>`

  function push(): Html {
    return html`${disabledAtMs === undefined ? undefined : button('enable', 'Enable', 'primary')}${pausedAtMs === undefined ? button('pause', 'Pause') : button('resume', 'Resume', 'primary')}${button('test', 'Send a test event')}`
  }
}

const attemptsView = (attempts: readonly Attempt[], isPush: boolean): Html =>
  table<Attempt>(
    'Newest attempts',
    attemptColumns({ title: 'Event', cell: ({ eventId }) => eventLink(eventId, eventId) }),
    attempts,
    html`<p>${isPush ? 'No attempt is in its log of attempts.' : 'Attempts are only known of push consumers.'}</p>`
  )

const settingsView = (settings: Readonly<Record<string, unknown>>): Html =>
  facts(
    Object.entries(settings)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [
        html`<code>${key}</code>`,
        text(Array.isArray(value) ? value.join(', ') : String(value))
      ]),
    'card'
  )
