// Tested by test/console/pages/events.slow.test.ts and test/console/pages/events-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import type { ConsumerPath, EventState } from '../../../tools/events/consumer-path.ts'
import type { EventPath } from '../../../tools/events/event-path.ts'
import { sendAgainProblem } from '../../../tools/events/send-again.ts'
import { isOperator } from '../../access.ts'
import { duration, number, pill, type Tone, table, text, time } from '../../components.ts'
import { type Html, html } from '../../html.ts'
import { attemptColumns, type ShownAttempt } from '../attempt-columns.ts'

const tones: Readonly<Record<EventState, Tone>> = {
  unread: 'neutral',
  pending: 'neutral',
  waiting: 'warning',
  dead: 'bad',
  acknowledged: 'good',
  not_wanted: 'neutral',
  trimmed: 'neutral'
}

/** What a state means for the event. */
const meanings: Readonly<Record<EventState, string>> = {
  unread: 'It has not read the event yet.',
  pending: 'The event was delivered to it, and is not acknowledged.',
  waiting: 'The event is in its queue.',
  dead: 'It failed, and is a dead letter: no more attempts.',
  acknowledged: 'It has acknowledged the event, or began to read the log after it.',
  not_wanted: 'Its types, or backfilled, leave this event out.',
  trimmed: 'It acknowledged the event: only then an event is deleted from the log.'
}

/** Attempts of one consumer; older ones are left out. */
const MAX_ATTEMPTS = 20

/** What each consumer did with the event, and the form to send it again. */
export function consumersView(request: FastifyRequest, path: EventPath, nowMs: number): Html {
  const wanted = path.consumers.filter(({ state }) => state !== 'not_wanted')
  const others = path.consumers.filter(({ state }) => state === 'not_wanted')
  return html`<h2>Consumers</h2>
${path.consumers.length === 0 ? html`<div class="empty"><p>No consumer reads the log.</p></div>` : undefined}
${wanted.map(consumer => consumerView(consumer, nowMs))}
${others.length === 0 ? undefined : html`<p class="lead">Their types leave this event out: ${others.map(({ consumer }, index) => html`${index === 0 ? undefined : ', '}${consumerLink(consumer)}`)}.</p>`}
${isOperator(request) ? sendAgainForm(path) : undefined}`
}

function consumerView(path: ConsumerPath, nowMs: number): Html {
  const { consumer, state } = path
  const attempts = attemptsOf(path)
  return html`<section class="card consumer"><h3>${consumerLink(consumer)} ${pill(tones[state], state.replaceAll('_', ' '))}</h3>
<p>${meanings[state]}${details(path, nowMs)}</p>
${attempts.length === 0 ? undefined : attemptTable(consumer, attempts)}</section>`
}

/** Of a dead letter, also those that are no longer in the log of attempts. */
function attemptsOf({ attempts, deadLetter }: ConsumerPath): readonly ShownAttempt[] {
  if (attempts.length > 0 || deadLetter === undefined) return attempts
  return deadLetter.lastAttempts.map(attempt => ({ ...attempt, outcome: 'failed' as const })).toReversed()
}

function details({ pending, waiting, deadLetter }: ConsumerPath, nowMs: number): Html | undefined {
  if (pending !== undefined) {
    const { member, deliveries, idleMs } = pending
    return html` It has been with ${text(member)} for ${duration(idleMs)}, delivered ${times(deliveries)}.`
  }
  if (waiting !== undefined) {
    const { attempts, nextAttemptAtMs } = waiting
    const next =
      nextAttemptAtMs === undefined
        ? html`now`
        : html`${time(nextAttemptAtMs)} (in ${duration(Math.max(0, nextAttemptAtMs - nowMs))})`
    return html` Failed ${times(attempts)}. Next attempt: ${next}.`
  }
  if (deadLetter === undefined) return undefined
  const { reason, error, attempts } = deadLetter
  return html` Reason: ${text(reason)} after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}: ${text(error)}`
}

const times = (count: number): string => (count === 1 ? 'once' : `${number(count)} times`)

const attemptTable = (consumer: string, attempts: readonly ShownAttempt[]): Html =>
  html`${table(
    `Attempts of ${consumer}, newest first`,
    attemptColumns(),
    attempts.slice(0, MAX_ATTEMPTS),
    html``
  )}${attempts.length > MAX_ATTEMPTS ? html`<p class="note">The newest ${MAX_ATTEMPTS} of ${attempts.length} attempts.</p>` : undefined}`

const consumerLink = (name: string): Html =>
  html`<a href="/consumers/${encodeURIComponent(name)}">${text(name)}</a>`

/** Leads to a page that asks first. */
function sendAgainForm({ position, consumers }: EventPath): Html {
  const possible = consumers.filter(path => sendAgainProblem(path) === undefined)
  if (possible.length === 0) {
    return html`<h3>Send again to …</h3><p class="lead">No consumer can get it again now: it has not acknowledged the event yet, or its types leave the event out.</p>`
  }
  return html`<form class="send-again" method="get" action="/events/${position}/send-again"><div><label for="send-again">Send again to …</label>
<select id="send-again" name="consumer">${possible.map(({ consumer }) => html`<option value="${consumer}">${consumer}</option>`)}</select></div><button type="submit">Continue</button></form>`
}
