// Tested by test/console/pages/consumers.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import { counted } from '../../../counted.ts'
import type { ConsumerStatus } from '../../../dispatch/consumer-status.ts'
import type { DeliveryRate } from '../../../tools/consumers/delivery-rate.ts'
import type { RemovedConsumer } from '../../../tools/consumers/removed-consumers.ts'
import { stateSinceMs } from '../../../tools/consumers/state-since.ts'
import { ago, duration, number, pageLink, pager, table, text } from '../../components.ts'
import { type Html, html } from '../../html.ts'
import { stateNames, statePill } from '../consumer-state.ts'

export interface ListFilter {
  /** A part of the name; '': all. */
  readonly name: string
  /** A state, or `dead`: those with dead letters; '': all. */
  readonly state: string
  /** From 1. */
  readonly page: number
}

export interface ShownConsumer {
  readonly status: ConsumerStatus
  readonly rate: DeliveryRate | undefined
}

interface List {
  readonly filter: ListFilter
  readonly all: readonly ConsumerStatus[]
  readonly found: number
  readonly pages: number
  readonly rows: readonly ShownConsumer[]
  readonly atMs: number
  readonly nowMs: number
}

export const consumerPath = (name: string, rest = ''): string =>
  `/consumers/${encodeURIComponent(name)}${rest}`

/** The state, and how old it is. */
export function stateView(status: ConsumerStatus, nowMs: number): Html {
  const since = stateSinceMs(status)
  return html`${statePill(status.state)}${since === undefined ? undefined : html` <span class="age">${duration(Math.max(0, nowMs - since))}</span>`}`
}

export const rateText = (rate: DeliveryRate | undefined): string =>
  rate === undefined ? '–' : `${rate.isAtLeast ? '≥ ' : ''}${number(rate.eventsPerMinute)}`

export function listView(list: List): Html {
  const { filter, all, found, rows, atMs, nowMs } = list
  if (all.length === 0) {
    return html`<div class="empty"><p>No consumer reads the log yet.</p><p>Add a push consumer with <code>CONSUMERS_FILE</code>, or read with the library.</p></div>`
  }
  const total = counted(all.length, 'consumer')
  const shown = found === all.length ? total : `${number(found)} of ${total}`
  return html`${filterForm(filter, all)}
<p class="note">${shown}, those that need attention first. ${nowMs - atMs < 1000 ? undefined : `As of ${ago(atMs, nowMs)}.`}</p>
${table(
  'Consumers',
  [
    {
      title: 'Name',
      cell: ({ status: { name } }) => html`<a href="${consumerPath(name)}">${text(name)}</a>`
    },
    { title: 'State', cell: ({ status }) => stateView(status, nowMs) },
    { title: 'Kind', cell: ({ status: { type } }) => type },
    { title: 'Not read', isNumber: true, cell: ({ status: { lag } }) => number(lag) },
    {
      title: 'Pending',
      isNumber: true,
      cell: ({ status: { pending, queued } }) => number(pending + queued)
    },
    {
      title: 'Oldest',
      isNumber: true,
      cell: ({ status: { oldestAgeMs } }) => (oldestAgeMs === undefined ? '–' : duration(oldestAgeMs))
    },
    { title: 'Events/min', isNumber: true, cell: ({ rate }) => rateText(rate) },
    {
      title: 'Dead letters',
      isNumber: true,
      cell: ({ status: { name, dead } }) =>
        dead === 0 ? '0' : html`<a href="${consumerPath(name, '/dead-letters')}">${number(dead)}</a>`
    },
    { title: 'Last failure', cell: ({ status }) => lastFailure(status, nowMs) }
  ],
  rows,
  html`<p>No consumer matches.</p><p><a class="button" href="/consumers">Show all</a></p>`
)}
${pages(list)}`
}

/** Without it, nothing would lead to the dead letters of a consumer that was removed. */
export function removedView(removed: readonly RemovedConsumer[], nowMs: number): Html | undefined {
  if (removed.length === 0) return undefined
  return html`<h2>Removed, but with dead letters</h2>
${table(
  'Removed consumers with dead letters',
  [
    { title: 'Name', cell: ({ name }) => text(name) },
    { title: 'Removed', cell: ({ removedAtMs }) => ago(removedAtMs, nowMs) },
    {
      title: 'Dead letters',
      isNumber: true,
      cell: ({ name, dead }) => html`<a href="${consumerPath(name, '/dead-letters')}">${number(dead)}</a>`
    }
  ],
  removed,
  html``
)}`
}

export function lastFailure({ lastFailure, lastFailureAtMs }: ConsumerStatus, nowMs: number): Html {
  if (lastFailure === undefined) return html`–`
  return html`${text(lastFailure)}${lastFailureAtMs === undefined ? undefined : `, ${ago(lastFailureAtMs, nowMs)}`}`
}

function filterForm({ name, state }: ListFilter, all: readonly ConsumerStatus[]): Html {
  const count = (wanted: string): number => all.filter(status => status.state === wanted).length
  const option = (value: string, label: string): Html =>
    html`<option value="${value}"${value === state ? html` selected` : undefined}>${label}</option>`
  const dead = all.filter(status => status.dead > 0).length
  return html`<form class="card filter" method="get" action="/consumers">
<div><label for="name">Name contains</label><input id="name" name="name" value="${name}" maxlength="256" autocomplete="off" spellcheck="false"></div>
<div><label for="state">State</label><select id="state" name="state">${option('', `all (${all.length})`)}${Object.entries(stateNames).map(([value, label]) => option(value, `${label} (${count(value)})`))}${option('dead', `with dead letters (${dead})`)}</select></div>
<div class="actions"><button class="primary" type="submit">Filter</button><a class="button" href="/consumers">Reset</a></div></form>`
}

function pages({ filter: { name, state, page }, pages }: List): Html | undefined {
  if (pages === 1) return undefined
  const link = (to: number, label: string): Html | undefined => {
    const query = new URLSearchParams({ name, state, page: String(to) }).toString()
    return pageLink(to < 1 || to > pages ? undefined : `/consumers?${query}`, label)
  }
  const here = html`<span class="note">Page ${page} of ${pages}</span>`
  return pager(link(page - 1, 'Previous'), here, link(page + 1, 'Next'))
}
