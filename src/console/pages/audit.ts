// Tested by test/console/access.test.ts and test/console/browser.slow.test.ts.
import { isEntryId } from '../../log/position.ts'
import { MAX_RECORDS } from '../audit.ts'
import { number, pageLink, pager, pill, table, time } from '../components.ts'
import type { ConsolePage } from '../context.ts'
import { field } from '../form-fields.ts'
import { html } from '../html.ts'
import { sendPage } from '../layout.ts'

const PAGE_SIZE = 50

/** Who changed what, and who logged in: newest first. */
export const auditPage: ConsolePage = (app, { audit }) => {
  app.get('/audit', { config: { access: 'viewer' } }, async (request, reply) => {
    const asked = field(request.query, 'before')
    const before = asked !== undefined && isEntryId(asked) ? asked : undefined
    const records = await audit.list(PAGE_SIZE, before)
    const last = records.length < PAGE_SIZE ? undefined : records.at(-1)?.id
    const body = html`<p class="lead">Every change and every log-in. The last ${number(MAX_RECORDS)} records are kept in Redis; all of them are in the log of the service.</p>
${table(
  'Audit records',
  [
    { title: 'Time', cell: ({ atMs }) => time(atMs) },
    { title: 'Who', cell: ({ who }) => who },
    { title: 'Role', cell: ({ role }) => (role === undefined ? '–' : pill('neutral', role)) },
    { title: 'Action', cell: ({ action }) => html`<code>${action}</code>` },
    { title: 'Target', cell: ({ target }) => target },
    { title: 'From', cell: ({ address }) => html`<code>${address}</code>` }
  ],
  records,
  html`<p>Nothing has been changed yet.</p>`
)}
${pager(pageLink(before && '/audit', 'Newest'), pageLink(last && `/audit?before=${last}`, 'Older'))}`
    return sendPage(request, reply, { title: 'Audit', current: '/audit' }, body)
  })
}
