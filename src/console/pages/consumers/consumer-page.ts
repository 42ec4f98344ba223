// Tested by test/console/pages/consumers.slow.test.ts and test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyInstance } from 'fastify'
import { type BulkActions, lettersOf } from '../../../tools/bulk/bulk-actions.ts'
import { recentActivity } from '../../../tools/consumers/recent-activity.ts'
import { change } from '../../change.ts'
import { confirmation, doneMessage } from '../../components.ts'
import type { ConsoleContext } from '../../context.ts'
import { field } from '../../form-fields.ts'
import { html } from '../../html.ts'
import { sendPage } from '../../layout.ts'
import { bulkView, sendProgress } from '../bulk/bulk-view.ts'
import { unlessRefused } from '../refusal.ts'
import { consumerView, figuresView } from './consumer-view.ts'
import { exchangeView } from './exchange-view.ts'
import { CONSUMERS_PATH } from './list-page.ts'
import { consumerPath } from './list-view.ts'
import type { ConsumerActions } from './open-actions.ts'
import { removalView } from './removal-view.ts'

export interface NameRoute {
  Params: { name: string }
}

/** Changes that can be taken back at once, so they are not asked about. */
const switches = {
  pause: {
    action: 'consumer_paused',
    done: 'Paused: within 2 s no replica sends it new events. They stay in the log until you resume it.'
  },
  resume: { action: 'consumer_resumed', done: 'Resumed: it gets its events again within 2 s.' },
  enable: { action: 'consumer_enabled', done: 'Enabled: it gets events again.' }
} as const

const isSwitch = (name: string | undefined): name is keyof typeof switches =>
  name !== undefined && Object.hasOwn(switches, name)

/** One consumer, and what an operator can do with it. */
export function consumerRoutes(
  app: FastifyInstance,
  context: ConsoleContext,
  actions: ConsumerActions,
  bulk: BulkActions
): void {
  const { now, live } = context
  const viewer = { config: { access: 'viewer' } } as const
  const operator = { config: { access: 'operator' } } as const

  app.get<NameRoute>(`${CONSUMERS_PATH}/:name`, viewer, async (request, reply) => {
    const { name } = request.params
    const [details, rate, state] = await Promise.all([
      unlessRefused(actions.show(name)),
      actions.deliveryRate(name),
      bulk.read(lettersOf(name))
    ])
    const done = field(request.query, 'done')
    const body = html`${doneMessage(isSwitch(done) ? switches[done].done : undefined)}
${bulkView(request, state, consumerPath(name, '/progress'), now())}
${consumerView(request, details, rate, now())}`
    return sendPage(request, reply, { title: `Consumer ${name}`, current: CONSUMERS_PATH }, body)
  })

  app.get<NameRoute>('/live/consumers/:name', viewer, async (request, reply) => {
    const { name } = request.params
    await unlessRefused(actions.status(name))
    live.stream(reply, async () => {
      const [status, rate] = await Promise.all([actions.status(name), actions.deliveryRate(name)])
      return figuresView(status, rate, now())
    })
  })

  for (const name of Object.keys(switches).filter(isSwitch)) {
    app.post<NameRoute>(`${CONSUMERS_PATH}/:name/${name}`, operator, async (request, reply) => {
      const consumer = request.params.name
      const { action } = switches[name]
      await unlessRefused(change<unknown>(context, request, action, consumer, () => actions[name](consumer)))
      return reply.redirect(consumerPath(consumer, `?done=${name}`), 303)
    })
  }

  app.post<NameRoute>(`${CONSUMERS_PATH}/:name/test`, operator, async (request, reply) => {
    const { name } = request.params
    const exchange = await unlessRefused(
      change(context, request, 'consumer_tested', name, () => actions.test(name))
    )
    const page = { title: `Test of ${name}`, current: CONSUMERS_PATH } as const
    return sendPage(request, reply, page, exchangeView(request, name, exchange))
  })

  app.get<NameRoute>(`${CONSUMERS_PATH}/:name/remove`, operator, async (request, reply) => {
    const { name } = request.params
    const known = await unlessRefused(actions.status(name))
    const activity = recentActivity(known, now())
    const body = confirmation(request, {
      question: `Remove the consumer ${name}?`,
      ...removalView(known, activity),
      action: consumerPath(name, '/remove'),
      fields: { force: activity === undefined ? '' : 'yes' },
      back: consumerPath(name)
    })
    return sendPage(request, reply, { title: 'Remove a consumer', current: CONSUMERS_PATH }, body)
  })

  app.post<NameRoute>(`${CONSUMERS_PATH}/:name/remove`, operator, async (request, reply) => {
    const { name } = request.params
    const isForced = field(request.body, 'force') === 'yes'
    await unlessRefused(
      change(context, request, 'consumer_removed', name, () => actions.remove(name, isForced))
    )
    return reply.redirect(`${CONSUMERS_PATH}?removed=${encodeURIComponent(name)}`, 303)
  })

  app.get<NameRoute>(`${CONSUMERS_PATH}/:name/progress`, viewer, async (request, reply) => {
    const state = await bulk.read(lettersOf(request.params.name))
    return sendProgress(reply, state, now())
  })

  app.post<NameRoute>(`${CONSUMERS_PATH}/:name/progress/stop`, operator, async (request, reply) => {
    const { name } = request.params
    await change(context, request, 'dead_letters_interrupted', name, () => bulk.stop(lettersOf(name)))
    return reply.redirect(consumerPath(name, '/dead-letters'), 303)
  })
}
