// Tested by test/console/api.slow.test.ts.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { DeadLetter } from '../../group/dead-letters.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { createBulkActions, lettersOf } from '../../tools/bulk/bulk-actions.ts'
import { consumerActions } from '../../tools/consumers/actions.ts'
import type { LetterChoice } from '../../tools/consumers/choose-letters.ts'
import { deadLettersJson, detailsJson } from '../../tools/consumers/consumer-json.ts'
import type { Replayed } from '../../tools/consumers/replay-letters.ts'
import { sendIdsAgain } from '../../tools/events/send-ids-again.ts'
import { ApiError } from '../api-error.ts'
import { change } from '../change.ts'
import type { ConsoleContext } from '../context.ts'
import { withConnections } from '../further-connections.ts'
import { untilGone } from '../until-gone.ts'
import { MAX_EVENT_BYTES } from './event-routes.ts'
import { attemptsQuery, consumerParams, lettersDrop, lettersQuery, lettersReplay } from './input.ts'
import { addRoute } from './route.ts'

/** A replay ends after so long. The same request continues. */
const REPLAY_MS = 20_000
/** Of all events of a request together. */
const SEARCH_MS = 5000
/** Ids that a message or an audit record names. */
const MAX_LISTED = 10

/** What `cio-webhook consumers` does. */
export function consumerRoutes(app: FastifyInstance, context: ConsoleContext): void {
  const { redis, config, now } = context
  const bulk = createBulkActions({ redis, keyPrefix: config.log.keyPrefix, now })
  const params = consumerParams
  const actionsWith = (openBlocking: () => RedisClient) =>
    consumerActions({ config, redis, openBlocking }, now)
  const actions = actionsWith(context.openBlocking)

  addRoute(app, 'viewer', 'GET /consumers', {}, actions.list)
  addRoute(app, 'viewer', 'GET /consumers/:name', { params }, async ({ params }) =>
    detailsJson(await actions.show(params.name))
  )
  addRoute(
    app,
    'viewer',
    'GET /consumers/:name/attempts',
    { params, query: attemptsQuery },
    async ({ params, query }) => ({ attempts: await actions.attempts(params.name, query.count) })
  )
  addRoute(
    app,
    'viewer',
    'GET /consumers/:name/dead-letters',
    { params, query: lettersQuery },
    async ({ params, query: { count, after, ...filter } }) => {
      const letters = await actions.deadLetters(params.name, { ...filterOf(filter), after }, count)
      const sent = beginning(letters)
      const isEnd = sent.length === letters.length && letters.length < count
      return { deadLetters: deadLettersJson(sent), after: isEnd ? undefined : sent.at(-1)?.letter }
    }
  )

  addRoute(app, 'operator', 'POST /consumers/:name/pause', { params }, async ({ params, request }) => {
    const changed = await change(context, request, 'consumer_paused', params.name, () =>
      actions.pause(params.name)
    )
    return { paused: params.name, changed }
  })
  addRoute(app, 'operator', 'POST /consumers/:name/resume', { params }, async ({ params, request }) => {
    const changed = await change(context, request, 'consumer_resumed', params.name, () =>
      actions.resume(params.name)
    )
    return { resumed: params.name, changed }
  })
  addRoute(app, 'operator', 'POST /consumers/:name/enable', { params }, async ({ params, request }) => {
    const changed = await change(context, request, 'consumer_enabled', params.name, () =>
      withConnections(context, openBlocking => actionsWith(openBlocking).enable(params.name))
    )
    return { enabled: params.name, changed }
  })
  addRoute(app, 'operator', 'POST /consumers/:name/test', { params }, ({ params, request }) =>
    change(context, request, 'consumer_tested', params.name, () => actions.test(params.name))
  )

  addRoute(
    app,
    'operator',
    'POST /consumers/:name/replay',
    { params, body: lettersReplay },
    ({ params: { name }, body, request, reply }) =>
      withConnections(context, openBlocking => {
        const { eventIds } = body
        if (eventIds !== undefined) {
          // Only ids of events that were found: others can be anything.
          const sent = (result?: Replayed): string =>
            `${result === undefined ? 'events' : listed(eventIds.filter(id => !result.unknown.includes(id)))} to ${name}`
          return change(context, request, 'events_sent_again', sent, async () =>
            known(await sendAgain(openBlocking, name, eventIds), eventIds, 'event')
          )
        }
        const ends = [untilGone(reply), AbortSignal.timeout(REPLAY_MS)]
        return change(context, request, 'dead_letters_replayed', `${name}: ${described(body)}`, async () =>
          known(
            await bulk.run(lettersOf(name), about('replay', request), ({ signal, onProgress }) =>
              actionsWith(openBlocking).replay(name, choiceOf(body), {
                signal: AbortSignal.any([signal, ...ends]),
                onProgress
              })
            ),
            body.ids,
            'dead letter'
          )
        )
      })
  )
  addRoute(
    app,
    'operator',
    'POST /consumers/:name/drop',
    { params, body: lettersDrop },
    ({ params: { name }, body, request }) =>
      change(context, request, 'dead_letters_dropped', `${name}: ${described(body)}`, async () =>
        known(
          await bulk.run(lettersOf(name), about('drop', request), options =>
            actions.drop(name, choiceOf(body), options)
          ),
          body.ids,
          'dead letter'
        )
      )
  )

  /** @returns as a replay of dead letters */
  async function sendAgain(
    openBlocking: () => RedisClient,
    name: string,
    ids: readonly string[]
  ): Promise<Replayed> {
    const { keyPrefix, windowMs } = config.log
    const { consumers } = config.dispatch
    const log = { redis, keyPrefix, dedupeWindowMs: windowMs, consumers }
    const sent = await sendIdsAgain({ ...log, openBlocking, budgetMs: SEARCH_MS }, name, ids)
    return { ...sent, interrupted: false }
  }
}

const about = (action: 'replay' | 'drop', { person }: FastifyRequest) => ({
  action,
  who: person?.name ?? '-',
  total: undefined
})

/** As many as one answer may have, at least one. */
function beginning(letters: readonly DeadLetter[]): readonly DeadLetter[] {
  let bytes = 0
  const end = letters.findIndex(({ event }) => {
    bytes += event.length
    return bytes >= MAX_EVENT_BYTES
  })
  return end === -1 ? letters : letters.slice(0, end + 1)
}

type Chosen = z.output<typeof lettersDrop>

const filterOf = ({ type, since, reason }: Chosen) => ({ types: type, sinceMs: since, reason })

const choiceOf = (chosen: Chosen): LetterChoice => chosen.ids ?? filterOf(chosen)

/** For the audit record: ids, or how they were chosen. */
function described({ ids, type, since, reason }: Chosen): string {
  if (ids !== undefined) return `dead letters ${listed(ids)}`
  const filters = [
    type && `type ${type.join(', ')}`,
    since && `since ${new Date(since).toISOString()}`,
    reason && `reason ${reason}`
  ].filter(part => part !== undefined)
  return filters.length === 0 ? 'all dead letters' : `all dead letters with ${filters.join(', ')}`
}

/** The first of many. */
function listed(ids: readonly string[]): string {
  const more = ids.length > MAX_LISTED ? ` and ${ids.length - MAX_LISTED} more` : ''
  return `${ids.slice(0, MAX_LISTED).join(', ')}${more}`
}

/** @throws ApiError if nothing has any of the ids */
function known<T extends { readonly unknown: readonly string[] }>(
  result: T,
  ids: readonly string[] | undefined,
  what: string
): T {
  if (ids === undefined || result.unknown.length < new Set(ids).size) return result
  throw new ApiError(
    'CIO_NOT_FOUND',
    `Not found: ${what} ${listed(result.unknown.map(id => JSON.stringify(id)))}.`
  )
}
