// Tested by test/console/pages/events.slow.test.ts and test/console/pages/events-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { counted } from '../../../counted.ts'
import type { LogPosition } from '../../../log/position.ts'
import { form, hiddenFields, pageLink, pager, table, text, time } from '../../components.ts'
import { type Html, html } from '../../html.ts'
import { type FoundRows, PAGE_ROWS } from './find-rows.ts'
import { type Search, type SearchField, searchFields, searchPath, shortcuts } from './query.ts'
import type { EventRow } from './row.ts'

export const EVENTS_PATH = '/events'
export const LIVE_PATH = '/live/events'

/** What the page of a search shows besides its rows. */
export interface ListOptions {
  readonly request: FastifyRequest
  readonly search: Search
  /** It contains an address: it is sent on as a form, never in the address of a page. */
  readonly isPrivate: boolean
  /** Whether `PII_HASH_KEY` is set. Without it, an address that was hashed with a key is not found. */
  readonly hasHashKey: boolean
}

const labels: Readonly<Record<SearchField, string>> = {
  customer: 'Customer id',
  email: 'E-mail address',
  id: 'Event id',
  type: 'Type',
  from: 'From (UTC)',
  to: 'To (UTC)'
}
const hints: Readonly<Partial<Record<SearchField, string>>> = {
  type: 'email.*',
  id: 'also a position'
}

/** @param problem why the values cannot be searched */
export function searchForm(request: FastifyRequest, { values }: Search, problem: string | undefined): Html {
  const input = (name: SearchField): Html => {
    const type = name === 'from' || name === 'to' ? 'datetime-local' : 'text'
    return html`<div><label for="search-${name}">${labels[name]}</label>
<input id="search-${name}" name="${name}" type="${type}" value="${values[name] ?? ''}" maxlength="512" autocomplete="off" spellcheck="false" placeholder="${hints[name] ?? ''}"></div>`
  }
  const shortcut = ({ name, label }: (typeof shortcuts)[number]): Html =>
    html`<button type="submit" name="last" value="${name}">${label}</button>`
  return html`<section class="card" aria-label="Search">
${problem === undefined ? undefined : html`<p class="error" role="alert">${problem}</p>`}
${form(
  request,
  EVENTS_PATH,
  html`<div class="search">${searchFields.map(input)}</div>
<div class="actions"><button class="primary" type="submit">Search</button>${shortcuts.map(shortcut)}<a class="button" href="${EVENTS_PATH}">Reset</a></div>
<p class="note">All fields that are filled in must match. An e-mail address is searched by its hash, and appears in no log and no address bar.</p>`
)}</section>`
}

/** The switch above a list that is live or could be. */
export function liveSwitch(search: Search): Html {
  const path = searchPath(EVENTS_PATH, { ...search, isLiveOff: !search.isLiveOff })
  const label = search.isLiveOff ? 'Live: off' : 'Live: on'
  const hint = search.isLiveOff ? 'Turn on' : 'Turn off'
  return html`<p class="live"><span class="pill ${search.isLiveOff ? 'neutral' : 'good'}">${label}</span> <a href="${path}">${hint}</a>
${search.isLiveOff ? undefined : html`<noscript>Without JavaScript, reload the page to see new events.</noscript>`}</p>`
}

/** The rows, and how to go on. It is replaced as a whole while the list is live. */
export function rowsView(options: ListOptions, found: FoundRows): Html {
  const { search } = options
  const { rows, older } = found
  const isPartial = older !== undefined && rows.length < PAGE_ROWS
  const newest = search.before === undefined ? undefined : pageControl(options, undefined, 'Newest')
  const further = older && pageControl(options, older, isPartial ? 'Search further back' : 'Older')
  return html`${rows.length === 0 ? undefined : html`<div class="event-rows">${eventTable(rows)}</div>`}
${isPartial || rows.length === 0 ? outcome(options, found) : undefined}
${pager(newest, further)}`
}

const eventTable = (rows: readonly EventRow[]): Html =>
  table<EventRow>(
    'Events, newest first',
    [
      { title: 'Time', cell: ({ atMs }) => time(atMs) },
      { title: 'Type', cell: ({ type }) => text(type) },
      { title: 'Customer', cell: ({ customer }) => customerLink(customer) },
      { title: 'Event id', cell: ({ id, position }) => eventLink(position, id ?? `position ${position}`) },
      { title: 'Source', cell: ({ source }) => text(source) },
      { title: 'Partition', isNumber: true, cell: ({ partition }) => partition }
    ],
    rows,
    html``
  )

export const eventLink = (name: string, label: string): Html =>
  html`<a href="${EVENTS_PATH}/${encodeURIComponent(name)}"><bdi>${label}</bdi></a>`

/** In the log, a customer id that is an address is a hash: it may stand in the address of a page. */
export function customerLink(customer: string | undefined): Html {
  if (customer === undefined) return html`–`
  const path = searchPath(EVENTS_PATH, { values: { customer }, isLiveOff: false })
  return html`<a href="${path}"><bdi>${customer}</bdi></a>`
}

function pageControl(
  { request, search, isPrivate }: ListOptions,
  before: LogPosition | undefined,
  label: string
): Html | undefined {
  if (!isPrivate) {
    return pageLink(searchPath(EVENTS_PATH, search, before), label)
  }
  const values = { ...search.values, ...(before === undefined ? {} : { before }) }
  return form(request, EVENTS_PATH, html`${hiddenFields(values)}<button type="submit">${label}</button>`)
}

/** How much was searched, and what to do if nothing was found. */
function outcome({ search, isPrivate, hasHashKey }: ListOptions, found: FoundRows): Html {
  const { rows, searched, oldestMs, newestMs, older } = found
  const isAny = Object.keys(search.values).length === 0
  if (oldestMs === undefined || newestMs === undefined) {
    return isAny && search.before === undefined
      ? html`<div class="empty"><p>No event has been received yet.</p><p>Events appear here as soon as Customer.io delivers one. To send a sample: <code>cio-webhook send</code></p></div>`
      : html`<div class="empty"><p>No events match: the log has none in this range${searchWords(search)}.</p></div>`
  }
  const range = html`${counted(searched, 'event')}, received ${time(oldestMs)} to ${time(newestMs)}`
  if (older !== undefined) {
    return html`<div class="empty" role="status"><p>${rows.length === 0 ? 'No events match so far' : `${rows.length} found so far`}${searchWords(search)}. Searched ${range}. Older events were not searched yet.</p></div>`
  }
  const { id, email } = search.values
  return html`<div class="empty" role="status"><p>No events match${searchWords(search)}. Searched ${range}.</p>
${email === undefined || hasHashKey ? undefined : html`<p>The address was hashed without <code>PII_HASH_KEY</code>, which is not set.</p>`}
${id === undefined || isPrivate ? undefined : html`<p>Events older than the retention are deleted once every consumer has acknowledged them. ${eventLink(id, 'Look among the dead letters')}</p>`}</div>`
}

/** The search in words, for results: `: customer id 42, type email.*`. */
function searchWords({ values }: Search): Html | undefined {
  const words = searchFields
    .filter(name => values[name] !== undefined)
    .map((name, index) => {
      const label = (labels[name][0] ?? '').toLowerCase() + labels[name].slice(1)
      return html`${index === 0 ? ': ' : ', '}${label} <bdi>${values[name]}</bdi>`
    })
  return words.length === 0 ? undefined : html`${words}`
}
