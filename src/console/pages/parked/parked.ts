// Tested by test/console/pages/parked.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.

import type { FastifyRequest } from 'fastify'
import { counted } from '../../../counted.ts'
import { isPosition } from '../../../log/position.ts'
import { allParked } from '../../../tools/bulk/bulk-actions.ts'
import type { ParkedChoice } from '../../../tools/parked/actions.ts'
import { recordChange } from '../../audit.ts'
import { change } from '../../change.ts'
import { confirmation } from '../../components.ts'
import { ConsoleError } from '../../console-error.ts'
import type { ConsolePage } from '../../context.ts'
import { field } from '../../form-fields.ts'
import { html } from '../../html.ts'
import { sendPage } from '../../layout.ts'
import { openParkedActions } from '../../parked-actions.ts'
import { bulkView, sendProgress } from '../bulk/bulk-view.ts'
import { openBulkActions } from '../bulk/open-bulk-actions.ts'
import { unlessRefused } from '../refusal.ts'
import { bodyView } from './body-view.ts'
import { deliveryView, PARKED_PATH, parkedListView } from './parked-view.ts'

const PAGE_ROWS = 25
const PROGRESS_PATH = `${PARKED_PATH}/progress`

interface DeliveryRoute {
  Params: { delivery: string }
}

/** The parked deliveries: pages of them, one of them with its body, and replay and drop. */
export const parkedPages: ConsolePage = (app, context) => {
  const { audit, now } = context
  const actions = openParkedActions(context)
  const bulk = openBulkActions(app, context)
  const viewer = { config: { access: 'viewer' } } as const
  const operator = { config: { access: 'operator' } } as const

  app.get(PARKED_PATH, viewer, async (request, reply) => {
    const asked = field(request.query, 'after')
    const after = asked !== undefined && isPosition(asked) ? asked : undefined
    const [page, total, state] = await Promise.all([
      actions.page(PAGE_ROWS, after),
      actions.count(),
      bulk.read(allParked)
    ])
    const body = html`${bulkView(request, state, PROGRESS_PATH, now())}
${parkedListView(request, page, total, after !== undefined)}`
    return sendPage(request, reply, { title: 'Parked deliveries', current: PARKED_PATH }, body)
  })

  app.get(PROGRESS_PATH, viewer, async (_request, reply) =>
    sendProgress(reply, await bulk.read(allParked), now())
  )

  app.post(`${PROGRESS_PATH}/stop`, operator, async (request, reply) => {
    await change(context, request, 'parked_interrupted', allParked.key, () => bulk.stop(allParked))
    return reply.redirect(PARKED_PATH, 303)
  })

  app.get<DeliveryRoute>(`${PARKED_PATH}/:delivery`, viewer, async (request, reply) => {
    const entry = await find(request.params.delivery)
    const page = { title: 'Parked delivery', current: PARKED_PATH } as const
    return sendPage(request, reply, page, deliveryView(request, entry))
  })

  app.post<DeliveryRoute>(`${PARKED_PATH}/:delivery/reveal`, operator, async (request, reply) => {
    const entry = await find(request.params.delivery)
    // Before the body is shown, so that nobody sees one without a record.
    await recordChange(audit, request, 'parked_revealed', entry.position)
    const page = { title: 'Parked delivery', current: PARKED_PATH } as const
    const revealed = await actions.reveal(entry)
    return sendPage(request, reply, page, html`${deliveryView(request, entry)}${bodyView(revealed)}`)
  })

  app.post(PARKED_PATH, operator, async (request, reply) => {
    const action = field(request.body, 'action')
    if (action !== 'replay' && action !== 'drop') {
      throw new ConsoleError(400, 'Nothing done', 'Choose an action.')
    }
    const delivery = field(request.body, 'delivery')
    const choice: ParkedChoice = delivery === undefined || delivery === 'all' ? 'all' : [delivery]
    const total = choice === 'all' ? await actions.count() : 1
    const isConfirmed = field(request.body, 'confirmed') === 'yes'
    if (!isConfirmed && (action === 'drop' || choice === 'all')) {
      const page = { title: 'Are you sure?', current: PARKED_PATH } as const
      return sendPage(request, reply, page, question(request, action, delivery ?? 'all', total))
    }
    const about = { action, who: request.person?.name ?? '-', total } as const
    await unlessRefused(
      bulk.start(allParked, about, options =>
        action === 'drop' ? actions.drop(choice, options) : actions.replay(choice, options)
      )
    )
    const record = action === 'replay' ? 'parked_replayed' : 'parked_dropped'
    await recordChange(audit, request, record, choice === 'all' ? 'all' : choice.join(', '))
    return reply.redirect(PARKED_PATH, 303)
  })

  async function find(delivery: string) {
    const entry = await actions.show(delivery)
    if (entry !== undefined) return entry
    throw new ConsoleError(
      404,
      'Not found',
      'There is no such parked delivery: it was replayed, dropped or trimmed.'
    )
  }
}

function question(request: FastifyRequest, action: 'replay' | 'drop', delivery: string, total: number) {
  const shown =
    delivery === 'all'
      ? `all ${counted(total, 'parked delivery', 'parked deliveries')}`
      : `the parked delivery ${delivery}`
  const verb = action === 'replay' ? 'Replay' : 'Drop'
  return confirmation(request, {
    question: `${verb} ${shown}?`,
    consequence:
      action === 'replay'
        ? 'Each is parsed again. Those that are events by the present rules are appended to the log, and every consumer gets them. The others stay parked.'
        : 'They are deleted for good. Customer.io does not send them again: they were answered with 200.',
    action: PARKED_PATH,
    fields: { action, delivery, confirmed: 'yes' },
    confirm: `${verb} ${shown}`,
    back: PARKED_PATH
  })
}
