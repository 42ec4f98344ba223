// Tested by test/console/pages/consumers.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyInstance } from 'fastify'
import type { ConsumerStatus } from '../../../dispatch/consumer-status.ts'
import { doneMessage } from '../../components.ts'
import type { ConsoleContext } from '../../context.ts'
import { field } from '../../form-fields.ts'
import { html } from '../../html.ts'
import { sendPage } from '../../layout.ts'
import { type ListFilter, listView, removedView, type ShownConsumer } from './list-view.ts'
import type { ConsumerActions } from './open-actions.ts'
import { consumerSnapshots } from './snapshot.ts'

export const CONSUMERS_PATH = '/consumers'

const PAGE_ROWS = 50

/** All consumers: which one needs attention. */
export function consumerListRoute(
  app: FastifyInstance,
  { now }: ConsoleContext,
  actions: ConsumerActions
): void {
  const readSnapshot = consumerSnapshots(actions.list, now)

  app.get(CONSUMERS_PATH, { config: { access: 'viewer' } }, async (request, reply) => {
    const filter = readFilter(request.query)
    const { consumers, removedConsumers, atMs } = await readSnapshot()
    const found = consumers.filter(status => matches(filter, status)).toSorted(byUrgency)
    const pages = Math.max(1, Math.ceil(found.length / PAGE_ROWS))
    const page = Math.min(filter.page, pages)
    const rows = await Promise.all(found.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS).map(withRate))
    const removed = field(request.query, 'removed')
    return sendPage(
      request,
      reply,
      { title: 'Consumers', current: CONSUMERS_PATH },
      html`${doneMessage(removed === undefined ? undefined : removedMessage(removed))}
${listView({ filter: { ...filter, page }, all: consumers, found: found.length, pages, rows, atMs, nowMs: now() })}
${removedView(removedConsumers, now())}`
    )
  })

  async function withRate(status: ConsumerStatus): Promise<ShownConsumer> {
    return { status, rate: await actions.deliveryRate(status.name) }
  }
}

/** Only what can be a name: the address of the page may come from a link of somebody else. */
const removedMessage = (name: string): string =>
  /^[a-z0-9][a-z0-9_-]{0,63}$/i.test(name) ? `${name} was removed.` : 'The consumer was removed.'

function readFilter(query: unknown): ListFilter {
  const page = Number(field(query, 'page') ?? 1)
  return {
    name: (field(query, 'name') ?? '').trim().slice(0, 256),
    state: field(query, 'state') ?? '',
    page: Number.isInteger(page) && page > 0 ? page : 1
  }
}

const matches = ({ name, state }: ListFilter, status: ConsumerStatus): boolean =>
  status.name.toLowerCase().includes(name.toLowerCase()) &&
  (state === '' || status.state === state || (state === 'dead' && status.dead > 0))

const URGENCY: Readonly<Record<ConsumerStatus['state'], number>> = {
  disabled: 0,
  failing: 1,
  no_members: 2,
  paused: 3,
  ok: 4
}

/** Those that need attention come first, and then by name. */
const byUrgency = (a: ConsumerStatus, b: ConsumerStatus): number =>
  URGENCY[a.state] - URGENCY[b.state] || (a.name < b.name ? -1 : 1)
