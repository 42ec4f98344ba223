// Tested by test/console/pages/events.slow.test.ts and test/console/pages/events-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { eventName } from '../../../event-types.ts'
import { parseEnvelope } from '../../../group/cloud-event.ts'
import type { EventPath } from '../../../tools/events/event-path.ts'
import { ago, duration, facts, text, time } from '../../components.ts'
import { type Html, html } from '../../html.ts'
import { consumersView } from './consumers-view.ts'
import { jsonView } from './json-view.ts'
import { customerLink, EVENTS_PATH, eventLink } from './list-view.ts'
import { searchPath } from './query.ts'

/** What the event says about itself; any of it may be missing, or be something else. */
interface Attributes {
  readonly subject: string | undefined
  readonly happenedAtMs: number | undefined
  readonly receivedAtMs: number | undefined
}

/** @param paths all positions that are known of this id */
export function eventView(
  request: FastifyRequest,
  path: EventPath,
  paths: readonly EventPath[],
  nowMs: number
): Html {
  const attributes = attributesOf(path.event)
  return html`${positions(path, paths)}
${facts([
  ['Type', text(eventName(path.type))],
  ['Customer', customerLink(attributes.subject)],
  ['Event id', text(path.id)],
  ['Source', text(path.source)],
  [
    'Position',
    html`<code>${path.position}</code>${path.isTrimmed ? ' – no longer in the log: this is the copy of a dead letter' : undefined}`
  ]
])}
<h2>Path</h2>
<ol class="timeline">${timeline(path, attributes, nowMs)}</ol>
${consumersView(request, path, nowMs)}
<h2>Content</h2>
<p class="lead">As consumers get it: without personal data.</p>
${jsonView('The event as JSON', path.event)}`
}

function positions({ id, position }: EventPath, paths: readonly EventPath[]): Html {
  if (paths.length > 1) {
    return html`<p>This id is at ${paths.length} positions: it was appended again after the dedupe window, or several sources have it.</p>
<ul>${paths.map(other => html`<li>${other.position === position ? html`${other.position} (shown)` : eventLink(other.position, other.position)}, source ${text(other.source)}, ${time(other.appendedAtMs)}</li>`)}</ul>`
  }
  return html`<p><a href="${searchPath(EVENTS_PATH, { values: { id }, isLiveOff: false })}">All positions of this id</a></p>`
}

function timeline(
  { source, position, appendedAtMs }: EventPath,
  { happenedAtMs, receivedAtMs }: Attributes,
  nowMs: number
): Html {
  const later = (ms: number, sinceMs: number | undefined, event: string): string | undefined =>
    sinceMs === undefined || ms < sinceMs ? undefined : `, ${duration(ms - sinceMs)} after ${event}`
  const [partition] = position.split('-', 1)
  return html`${happenedAtMs === undefined ? undefined : html`<li><h3>Happened</h3><p>${time(happenedAtMs)} (${ago(happenedAtMs, nowMs)}), by the clock of Customer.io</p></li>`}
${receivedAtMs === undefined ? undefined : html`<li><h3>Received</h3><p>${time(receivedAtMs)} (${ago(receivedAtMs, nowMs)}) from source ${text(source)}${later(receivedAtMs, happenedAtMs, 'it happened')}</p></li>`}
<li><h3>Appended to the log</h3><p>${time(appendedAtMs)} (${ago(appendedAtMs, nowMs)}), partition ${partition ?? ''}, position <code>${position}</code></p></li>`
}

function attributesOf(event: string): Attributes {
  const fields = new Map<string, unknown>(Object.entries(parseEnvelope(event) ?? {}))
  const subject = fields.get('subject')
  return {
    subject: typeof subject === 'string' ? subject : undefined,
    happenedAtMs: timeOf(fields.get('time')),
    receivedAtMs: timeOf(fields.get('receivedtime'))
  }
}

function timeOf(value: unknown): number | undefined {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? undefined : ms
}
