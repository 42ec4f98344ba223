// Tested by test/console/pages/consumers.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { eventName } from '../../../event-types.ts'
import { parseEnvelope } from '../../../group/cloud-event.ts'
import type { DeadLetter } from '../../../group/dead-letters.ts'
import { entryTimeMs } from '../../../log/position.ts'
import { isOperator } from '../../access.ts'
import { ago, facts, form, number, table, text, time } from '../../components.ts'
import { type Html, html } from '../../html.ts'
import { jsonView } from '../events/json-view.ts'
import { consumerPath } from './list-view.ts'

const meanings: Readonly<Record<string, string>> = {
  failed: 'every attempt failed',
  malformed: 'it is not an event of this service',
  interrupted: 'attempts began, and none finished before its process ended'
}

/** One dead letter: why, its last attempts and its event. */
export function letterView(
  request: FastifyRequest,
  name: string,
  { letter, reason, error, attempts, lastAttempts, type, event, position }: DeadLetter,
  nowMs: number
): Html {
  const id = parseEnvelope(event)?.id
  const meaning = meanings[reason]
  const atMs = entryTimeMs(letter)
  const rows: readonly (readonly [string, Html])[] = [
    ['Reason', html`${text(reason)}${meaning === undefined ? undefined : `: ${meaning}`}`],
    ['Error', text(error)],
    ['Attempts', html`${number(attempts)}`],
    ['Added', html`${time(atMs)} (${ago(atMs, nowMs)})`],
    ['Type', text(eventName(type))],
    ['Event', html`<a href="/events/${encodeURIComponent(position)}">${text(id ?? position)}</a>`],
    ['Position in the log', html`<code>${position}</code>`],
    ['Dead letter', html`<code>${letter}</code>`]
  ]
  const button = (action: string, label: string): Html =>
    html`<button type="submit" name="action" value="${action}">${label}</button>`
  const act = form(
    request,
    consumerPath(name, '/dead-letters'),
    html`<input type="hidden" name="id" value="${letter}"><div class="actions">${button('replay selected', 'Replay')}${button('drop selected', 'Drop …')}</div>`
  )
  return html`<p><a href="${consumerPath(name, '/dead-letters')}">Dead letters of ${text(name)}</a></p>
${facts(rows, 'card')}
${isOperator(request) ? act : undefined}
<h2>Last attempts</h2>
${table(
  'Last attempts, oldest first',
  [
    { title: 'Time', cell: ({ atMs }) => time(atMs) },
    { title: 'Attempt', isNumber: true, cell: ({ attempt }) => attempt },
    { title: 'Answer', cell: ({ answer }) => text(answer) },
    { title: 'Milliseconds', isNumber: true, cell: ({ durationMs }) => number(durationMs) }
  ],
  lastAttempts,
  html`<p>Its attempts are not known.</p>`
)}
<h2>Event</h2>
${event === '' ? html`<p class="lead">The entry had no event.</p>` : jsonView('The event as JSON', event)}`
}
