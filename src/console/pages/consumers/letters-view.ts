// Tested by test/console/pages/consumers.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { eventName } from '../../../event-types.ts'
import { parseEnvelope } from '../../../group/cloud-event.ts'
import type { DeadLetter } from '../../../group/dead-letters.ts'
import { entryTimeMs } from '../../../log/position.ts'
import { letterReasons } from '../../../tools/consumers/choose-letters.ts'
import type { LetterPage } from '../../../tools/consumers/letter-page.ts'
import { isOperator } from '../../access.ts'
import { form, hiddenFields, number, pageLink, pager, table, text, time } from '../../components.ts'
import { type Html, html } from '../../html.ts'
import { isFiltered, type LetterQuery, letterSearch } from './letter-query.ts'
import { consumerPath } from './list-view.ts'

interface Letters {
  readonly request: FastifyRequest
  readonly name: string
  readonly query: LetterQuery
  readonly after: string | undefined
  readonly page: LetterPage
  readonly total: number
  readonly reasons: Readonly<Record<string, number>>
}

export function lettersView(letters: Letters): Html {
  const { request, name, query, after, page, total, reasons } = letters
  const counts = Object.entries(reasons).map(
    ([reason, count]) =>
      html`<li><a href="${consumerPath(name, `/dead-letters?${new URLSearchParams({ reason }).toString()}`)}">${text(reason)}</a>: ${number(count)}</li>`
  )
  const rows = table(
    'Dead letters, oldest first',
    [
      ...(isOperator(request) ? [{ title: 'Choose', cell: checkbox }] : []),
      {
        title: 'Added',
        cell: ({ letter }) =>
          html`<a href="${consumerPath(name, `/dead-letters/${letter}`)}">${time(entryTimeMs(letter))}</a>`
      },
      { title: 'Type', cell: ({ type }) => text(eventName(type)) },
      { title: 'Event', cell: eventCell },
      { title: 'Reason', cell: ({ reason }) => text(reason) },
      { title: 'Attempts', isNumber: true, cell: ({ attempts }) => number(attempts) },
      { title: 'Error', cell: ({ error }) => text(error) }
    ],
    page.letters,
    html`<p>${emptyText(letters)}</p>`
  )
  return html`<p><a href="${consumerPath(name)}">Consumer ${text(name)}</a></p>
${counts.length === 0 ? undefined : html`<ul class="counts" aria-label="Dead letters by reason"><li>All: ${number(total)}</li>${counts}</ul>`}
${filterForm(name, query)}
${isOperator(request) && page.letters.length > 0 ? chooser(letters, rows) : rows}
${pages(name, query, after, page)}`
}

function checkbox(deadLetter: DeadLetter): Html {
  const { letter } = deadLetter
  return html`<input type="checkbox" name="id" value="${letter}" aria-label="Dead letter ${letter}">`
}

function eventCell({ event, position }: DeadLetter): Html {
  const id = parseEnvelope(event)?.id
  return html`<a href="/events/${encodeURIComponent(position)}">${text(id ?? position)}</a>`
}

function emptyText({ page, total, query, after }: Letters): string {
  if (total === 0) return 'It has no dead letters.'
  if (page.isPartial)
    return 'None of the dead letters that were searched matches. Continue with the next page.'
  return isFiltered(query) || after !== undefined ? 'No more dead letters match.' : 'It has no dead letters.'
}

/** The rows, and what can be done with them. The filter goes along, for "all that match". */
function chooser({ request, name, query, total }: Letters, rows: Html): Html {
  const all = isFiltered(query) ? 'all that match' : `all ${number(total)}`
  const button = (value: string, label: string, kind = ''): Html =>
    html`<button class="${kind}" type="submit" name="action" value="${value}">${label}</button>`
  return form(
    request,
    consumerPath(name, '/dead-letters'),
    html`${hiddenFields({ ...query })}
<div class="actions above">${button('replay selected', 'Replay selected')}${button('drop selected', 'Drop selected …')}${button('replay matching', `Replay ${all} …`)}${button('drop matching', `Drop ${all} …`, 'danger')}</div>
${rows}`
  )
}

function filterForm(name: string, { type, since, reason }: LetterQuery): Html {
  const option = (value: string, label: string): Html =>
    html`<option value="${value}"${value === reason ? html` selected` : undefined}>${label}</option>`
  return html`<form class="card filter" method="get" action="${consumerPath(name, '/dead-letters')}">
<div><label for="type">Type</label><input id="type" name="type" value="${type}" maxlength="141" placeholder="email.*" autocomplete="off" spellcheck="false"></div>
<div><label for="since">Added since (UTC)</label><input id="since" name="since" type="datetime-local" value="${since}"></div>
<div><label for="reason">Reason</label><select id="reason" name="reason">${option('', 'all')}${letterReasons.map(one => option(one, one))}</select></div>
<div class="actions"><button class="primary" type="submit">Filter</button><a class="button" href="${consumerPath(name, '/dead-letters')}">Reset</a></div></form>`
}

function pages(
  name: string,
  query: LetterQuery,
  after: string | undefined,
  { next, isPartial }: LetterPage
): Html | undefined {
  const path = (more: Readonly<Record<string, string>>): string =>
    consumerPath(name, `/dead-letters${letterSearch(query, more)}`)
  return pager(
    pageLink(after === undefined ? undefined : path({}), 'Oldest'),
    pageLink(next === undefined ? undefined : path({ after: next }), 'Next'),
    isPartial
      ? html`<span class="note">Only some dead letters were searched, to answer in time.</span>`
      : undefined
  )
}
