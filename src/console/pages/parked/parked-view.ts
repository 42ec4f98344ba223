// Tested by test/console/pages/parked.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import type { ParkedEntry } from '../../../dispatch/parked.ts'
import type { ParkedPage } from '../../../tools/parked/actions.ts'
import { parkedSummary } from '../../../tools/parked/summary.ts'
import { isOperator } from '../../access.ts'
import { facts, form, number, pageLink, pager, table, text, time } from '../../components.ts'
import { type Html, html } from '../../html.ts'

export const PARKED_PATH = '/parked'

export function parkedListView(
  request: FastifyRequest,
  { deliveries, next }: ParkedPage,
  total: number,
  isLater: boolean
): Html {
  const all = form(
    request,
    PARKED_PATH,
    html`<input type="hidden" name="delivery" value="all"><div class="actions above"><button type="submit" name="action" value="replay">Replay all …</button><button class="danger" type="submit" name="action" value="drop">Drop all …</button></div>`
  )
  return html`<p class="lead">Authentic deliveries that are not events: not a JSON object, nested too deep, or with the dangerous name <code>__proto__</code>. They were answered with 200 and are kept encrypted. Parked now: ${number(total)}.</p>
${isOperator(request) && total > 0 ? all : undefined}
${table(
  'Parked deliveries, oldest first',
  [
    {
      title: 'Parked',
      cell: ({ delivery, parked }) =>
        html`<a href="${PARKED_PATH}/${delivery}">${time(Date.parse(parked))}</a>`
    },
    { title: 'Source', cell: ({ source }) => text(source) },
    { title: 'Reason', cell: ({ reason }) => text(reason) },
    { title: 'Offset', isNumber: true, cell: ({ offset }) => number(offset) },
    { title: 'Bytes', isNumber: true, cell: ({ bytes }) => number(bytes) },
    { title: 'Position', cell: ({ delivery }) => html`<code>${delivery}</code>` }
  ],
  deliveries,
  html`<p>${isLater ? 'There are no more.' : 'No delivery is parked.'}</p>`
)}
${pager(pageLink(isLater ? PARKED_PATH : undefined, 'Oldest'), pageLink(next && `${PARKED_PATH}?after=${next}`, 'Next'))}`
}

export function deliveryView(request: FastifyRequest, entry: ParkedEntry): Html {
  const { position } = entry
  const { source, reason, offset, bytes, sha256, keyId, id, received, parked, body } = parkedSummary(entry)
  const rows: readonly (readonly [string, Html])[] = [
    ['Reason', text(reason)],
    ['Offset of the error', html`${number(offset)}`],
    ['Source', text(source)],
    ['Received', received === undefined ? html`–` : time(Date.parse(received))],
    ['Parked', time(Date.parse(parked))],
    ['Bytes', html`${number(bytes)}`],
    ['SHA-256', html`<code>${sha256 ?? '–'}</code>`],
    ['Sealed with the key', html`<code>${keyId ?? '–'}</code>`],
    ['Id in the answer', html`<code>${id ?? '–'}</code>`],
    ['Body', text(body)],
    ['Position', html`<code>${position}</code>`]
  ]
  return html`<p><a href="${PARKED_PATH}">Parked deliveries</a></p>
${facts(rows, 'card')}
${isOperator(request) ? actionsView(request, position) : undefined}`
}

const actionsView = (request: FastifyRequest, position: string): Html =>
  html`<section class="actions" aria-label="Actions">${form(request, `${PARKED_PATH}/${position}/reveal`, html`<button type="submit">Reveal the body</button>`)}${form(
    request,
    PARKED_PATH,
    html`<input type="hidden" name="delivery" value="${position}"><div class="buttons"><button type="submit" name="action" value="replay">Replay</button><button type="submit" name="action" value="drop">Drop …</button></div>`
  )}</section>
<p class="note">The body can contain personal data. Revealing it is recorded.</p>`
