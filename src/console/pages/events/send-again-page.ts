// Tested by test/console/pages/events-browser.slow.test.ts and test/console/pages/events.slow.test.ts.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ConsumerStatus, consumerStatusReader } from '../../../dispatch/consumer-status.ts'
import { isPosition } from '../../../log/position.ts'
import { ActionError } from '../../../tools/action-error.ts'
import type { EventPath } from '../../../tools/events/event-path.ts'
import { sendAgain, sendAgainProblem } from '../../../tools/events/send-again.ts'
import { change } from '../../change.ts'
import { confirmation } from '../../components.ts'
import { ConsoleError } from '../../console-error.ts'
import type { ConsolePage } from '../../context.ts'
import { field } from '../../form-fields.ts'
import { withConnections } from '../../further-connections.ts'
import { sendPage } from '../../layout.ts'
import { untilGone } from '../../until-gone.ts'
import { findPaths, notFound } from './event-page.ts'
import { EVENTS_PATH } from './list-view.ts'

const PATH = `${EVENTS_PATH}/:position/send-again`

/** Added to the question. */
const hints: Readonly<Record<ConsumerStatus['state'], string>> = {
  ok: '',
  failing: ' Its last attempt failed.',
  paused: ' It is paused: it gets the event after it is resumed.',
  disabled: ' It is disabled: it gets the event after it is enabled.',
  no_members: ' It has no active members: it gets the event when one starts.'
}

interface Route {
  Params: { position: string }
}

/** Gives one consumer one event again: a page that asks, and the change. */
export const sendAgainPage: ConsolePage = (app, context) => {
  const { redis, config, now } = context
  const { keyPrefix } = config.log
  const { consumers } = config.dispatch
  const readStatus = consumerStatusReader({ redis, keyPrefix, consumers, now })

  app.get<Route>(PATH, { config: { access: 'operator' } }, async (request, reply) => {
    const path = await findPath(request.params.position, reply)
    const consumer = field(request.query, 'consumer') ?? ''
    const found = path.consumers.find(path => path.consumer === consumer)
    if (found === undefined) throw refused(`There is no consumer ${JSON.stringify(consumer)}.`)
    const problem = sendAgainProblem(found)
    if (problem !== undefined) throw refused(`${consumer} cannot get it again: ${problem}.`)
    const body = confirmation(request, {
      question: `Send the event to ${consumer} again?`,
      consequence: `${consumer} gets the event ${path.id} once more, with the same id. A consumer that does not ignore repeated ids processes it twice.${await hintOf(consumer)}`,
      action: `${EVENTS_PATH}/${path.position}/send-again`,
      fields: { consumer },
      confirm: `Send again to ${consumer}`,
      back: `${EVENTS_PATH}/${path.position}`
    })
    return sendPage(request, reply, { title: 'Send again', current: EVENTS_PATH }, body)
  })

  app.post<Route>(PATH, { config: { access: 'operator' } }, async (request, reply) => {
    const path = await findPath(request.params.position, reply)
    const consumer = field(request.body, 'consumer') ?? ''
    await send(request, path, consumer)
    return reply.redirect(`${EVENTS_PATH}/${path.position}?sent=${encodeURIComponent(consumer)}`, 303)
  })

  /** What has to happen before the consumer gets the event. */
  async function hintOf(consumer: string): Promise<string> {
    const status = (await readStatus()).find(({ name }) => name === consumer)
    if (status?.type === 'redis') {
      return ' It is a plain Redis Streams group: the event becomes pending there for a consumer named cio-webhook, and its readers get it with XAUTOCLAIM.'
    }
    return status === undefined ? '' : hints[status.state]
  }

  async function findPath(position: string, reply: FastifyReply): Promise<EventPath> {
    const [path] = isPosition(position) ? await findPaths(context, position, untilGone(reply)) : []
    if (path?.position !== position) throw notFound(position, context)
    return path
  }

  async function send(request: FastifyRequest, path: EventPath, consumer: string): Promise<void> {
    try {
      await change(context, request, 'event_sent_again', `${path.position} to ${consumer}`, () =>
        withConnections(context, openBlocking =>
          sendAgain({ redis, keyPrefix, consumers, openBlocking }, path, consumer)
        )
      )
    } catch (error) {
      if (error instanceof ActionError) throw refused(`${error.message}.`)
      throw error
    }
  }
}

const refused = (text: string): ConsoleError => new ConsoleError(409, 'Not sent', text)
