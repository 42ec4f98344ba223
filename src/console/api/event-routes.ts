// Tested by test/console/api.slow.test.ts.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { isPosition } from '../../log/position.ts'
import { compileAddressHash } from '../../tools/events/address-hash.ts'
import { foundEventJson, pathsJson } from '../../tools/events/event-json.ts'
import { type EventPath, eventPath } from '../../tools/events/event-path.ts'
import { searchEvents } from '../../tools/events/search.ts'
import { sendAgain } from '../../tools/events/send-again.ts'
import { ApiError } from '../api-error.ts'
import { change } from '../change.ts'
import type { ConsoleContext } from '../context.ts'
import { withConnections } from '../further-connections.ts'
import { untilGone } from '../until-gone.ts'
import { eventParams, eventQuery, eventSearch, positionParams, redelivery } from './input.ts'
import { addRoute } from './route.ts'

/** A search ends after so long. Its answer says where to continue. */
const BUDGET_MS = 5000
/**
 * Of the events in an answer, and one more: one can have 8 MiB. Formatting a MiB takes up to 0.15 s of a process that also
 * receives deliveries. The answer says where to continue.
 */
export const MAX_EVENT_BYTES = 4 * 1024 * 1024
/** Each takes Redis up to half of the time. */
const MAX_SEARCHES = 2

/** Searches in the log, one event with its path, and giving it to a consumer again. */
export function eventRoutes(app: FastifyInstance, context: ConsoleContext): void {
  const { redis, config } = context
  const { keyPrefix, windowMs } = config.log
  const { consumers } = config.dispatch
  const log = { redis, keyPrefix, dedupeWindowMs: windowMs }
  const hashes = compileAddressHash(config.hashKey?.reveal())
  let running = 0

  addRoute(app, 'viewer', 'GET /events', { query: eventQuery }, ({ query, reply }) => search(query, reply))
  addRoute(app, 'viewer', 'POST /events/search', { body: eventSearch }, ({ body, reply }) =>
    search(body, reply)
  )

  addRoute(app, 'viewer', 'GET /events/:id', { params: eventParams }, async ({ params, reply }) =>
    pathsJson(await findPaths(params.id, reply))
  )

  addRoute(
    app,
    'operator',
    'POST /events/:position/redeliver',
    { params: positionParams, body: redelivery },
    async ({ params: { position }, body: { consumer }, request, reply }) => {
      const path = (await findPaths(position, reply)).find(path => path.position === position)
      if (path === undefined) throw unknownEvent(position)
      await redeliver(request, path, consumer)
      return { redelivered: position, consumer }
    }
  )

  async function search(
    { customer, email, id, type, from, to, before, count }: z.output<typeof eventSearch>,
    reply: FastifyReply
  ) {
    const hash = email === undefined ? undefined : hashes.ofAddress(email)
    if (email !== undefined && hash === undefined) {
      throw new ApiError('CIO_BAD_REQUEST', 'the body: email: this is not an e-mail address.')
    }
    const query = {
      customers: customer === undefined ? undefined : hashes.customerSubjects(customer),
      hashes: hash === undefined ? undefined : [hash],
      ids: id,
      types: type,
      ...{ fromMs: from, toMs: to, before, count }
    }
    const { entries, ...found } = await limited(() => searchEvents(log, query, bounds(reply)))
    return { events: entries.map(foundEventJson), ...found }
  }

  async function findPaths(name: string, reply: FastifyReply): Promise<readonly EventPath[]> {
    const startedMs = performance.now()
    const paths = await limited(() => eventPath({ ...log, consumers }, name, bounds(reply)))
    if (paths.length > 0) return paths
    if (!isPosition(name) && performance.now() - startedMs >= BUDGET_MS) {
      throw new ApiError(
        'CIO_UNAVAILABLE',
        'The search did not reach the beginning of the log in time. Search with /api/v1/events, which can be continued.'
      )
    }
    throw unknownEvent(name)
  }

  async function redeliver(request: FastifyRequest, path: EventPath, consumer: string): Promise<void> {
    await change(context, request, 'event_sent_again', `${path.position} to ${consumer}`, () =>
      withConnections(context, openBlocking =>
        sendAgain({ redis, keyPrefix, consumers, openBlocking }, path, consumer)
      )
    )
  }

  async function limited<T>(work: () => Promise<T>): Promise<T> {
    if (running >= MAX_SEARCHES) {
      throw new ApiError('CIO_RATE_LIMITED', `${MAX_SEARCHES} searches are running. Try again soon.`, 1)
    }
    running++
    try {
      return await work()
    } finally {
      running--
    }
  }
}

/** A search also ends when the client has gone. */
const bounds = (reply: FastifyReply) => ({
  signal: untilGone(reply),
  budgetMs: BUDGET_MS,
  maxBytes: MAX_EVENT_BYTES
})

const unknownEvent = (id: string): ApiError =>
  new ApiError(
    'CIO_NOT_FOUND',
    `The event ${JSON.stringify(id)} was not found in the log or among the dead letters. For a source other than the default one, give <source>/<id>.`
  )
