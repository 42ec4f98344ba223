// Tested by test/console/pages/events.slow.test.ts and test/console/pages/events-browser.slow.test.ts.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isPosition } from '../../../log/position.ts'
import { compileAddressHash } from '../../../tools/events/address-hash.ts'
import type { ConsolePage } from '../../context.ts'
import { html } from '../../html.ts'
import { sendPage } from '../../layout.ts'
import { untilGone } from '../../until-gone.ts'
import { findRows, followRows } from './find-rows.ts'
import { EVENTS_PATH, LIVE_PATH, type ListOptions, liveSwitch, rowsView, searchForm } from './list-view.ts'
import { compileSearch, isPrivate, mayBeLive, readSearch, type Search, searchPath } from './query.ts'

/** The newest events, and searches. */
export const eventListPage: ConsolePage = (app, context) => {
  const { config, now, live } = context
  const addressHash = compileAddressHash(config.hashKey?.reveal())

  app.get(EVENTS_PATH, { config: { access: 'viewer' } }, (request, reply) =>
    sendList(request, reply, readSearch(request.query, now()))
  )

  // A search without an address gets an address of its own: it can be reloaded, and sent to a colleague.
  app.post(EVENTS_PATH, { config: { access: 'viewer' } }, (request, reply) => {
    const search = readSearch(request.body, now())
    if (isPrivate(search, addressHash)) return sendList(request, reply, search)
    const { id, ...others } = search.values
    if (id !== undefined && isPosition(id) && Object.keys(others).length === 0) {
      return reply.redirect(`${EVENTS_PATH}/${encodeURIComponent(id)}`, 303)
    }
    return reply.redirect(searchPath(EVENTS_PATH, search, search.before), 303)
  })

  app.get(LIVE_PATH, { config: { access: 'viewer' } }, (request, reply) => {
    const search = readSearch(request.query, now())
    const compiled = compileSearch(search, addressHash)
    if ('problem' in compiled || !mayBeLive(search, isPrivate(search, addressHash))) {
      return reply.callNotFound()
    }
    const follow = followRows(context, compiled, untilGone(reply))
    live.stream(reply, async () => rowsView(optionsOf(request, search), await follow()))
    return undefined
  })

  async function sendList(request: FastifyRequest, reply: FastifyReply, search: Search) {
    const page = { title: 'Events', current: EVENTS_PATH } as const
    const compiled = compileSearch(search, addressHash)
    if ('problem' in compiled) {
      const { problem } = compiled
      return sendPage(request, reply, { ...page, status: 400 }, searchForm(request, search, problem))
    }
    const options = optionsOf(request, search)
    const found = await findRows(context, compiled, search.before, untilGone(reply))
    const rows = rowsView(options, found)
    const isLive = mayBeLive(search, options.isPrivate)
    return sendPage(
      request,
      reply,
      page,
      html`${searchForm(request, search, undefined)}
${isLive ? liveSwitch(search) : undefined}
${isLive && !search.isLiveOff ? html`<div hx-sse:connect="${searchPath(LIVE_PATH, search)}" hx-swap="innerMorph">${rows}</div>` : rows}`
    )
  }

  function optionsOf(request: FastifyRequest, search: Search): ListOptions {
    return {
      request,
      search,
      isPrivate: isPrivate(search, addressHash),
      hasHashKey: config.hashKey !== undefined
    }
  }
}
