// Tested by test/console/api.slow.test.ts and test/console/api/parked-routes.test.ts.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { allParked, createBulkActions } from '../../tools/bulk/bulk-actions.ts'
import type { DroppedDeliveries, ReplayedDeliveries } from '../../tools/parked/actions.ts'
import { ApiError } from '../api-error.ts'
import { change } from '../change.ts'
import type { ConsoleContext } from '../context.ts'
import { openParkedActions } from '../parked-actions.ts'
import { parkedParams, parkedQuery } from './input.ts'
import { addRoute } from './route.ts'

/** What `cio-webhook consumers parked`, `replay-parked` and `drop-parked` do. */
export function parkedRoutes(app: FastifyInstance, context: ConsoleContext): void {
  const { redis, config, now } = context
  const actions = openParkedActions(context)
  const bulk = createBulkActions({ redis, keyPrefix: config.log.keyPrefix, now })
  const params = parkedParams

  addRoute(app, 'viewer', 'GET /parked', { query: parkedQuery }, async ({ query: { count, after } }) => {
    const { deliveries, next } = await actions.page(count, after)
    return { total: await actions.count(), parked: deliveries, after: next }
  })

  addRoute(app, 'operator', 'POST /parked/:delivery/replay', { params }, ({ params, request }) =>
    act(request, 'parked_replayed', params.delivery, async () => {
      const result = await bulk.run(allParked, about('replay', request), options =>
        actions.replay([params.delivery], options)
      )
      requireHandled(params.delivery, result)
      return { replayed: params.delivery }
    })
  )

  addRoute(app, 'operator', 'POST /parked/:delivery/drop', { params }, ({ params, request }) =>
    act(request, 'parked_dropped', params.delivery, async () => {
      const result = await bulk.run(allParked, about('drop', request), options =>
        actions.drop([params.delivery], options)
      )
      requireHandled(params.delivery, result)
      return { dropped: params.delivery }
    })
  )

  /** The bytes as they were received, and nothing else. The record is made before they are sent. */
  addRoute(
    app,
    'operator',
    'POST /parked/:delivery/reveal',
    { params },
    async ({ params, request, reply }) => {
      const body = await act(request, 'parked_revealed', params.delivery, async () => {
        const entry = await actions.show(params.delivery)
        if (entry === undefined) throw unknownDelivery(params.delivery)
        const body = await actions.reveal(entry)
        if (typeof body === 'string') {
          throw new ApiError('CIO_CONFLICT', `${params.delivery} cannot be revealed: ${body}.`)
        }
        return body
      })
      return reply.type('application/octet-stream').send(body)
    }
  )

  function act<T>(
    request: FastifyRequest,
    action: string,
    target: string,
    work: () => Promise<T>
  ): Promise<T> {
    return change(context, request, action, target, work)
  }
}

const about = (action: 'replay' | 'drop', { person }: FastifyRequest) => ({
  action,
  who: person?.name ?? '-',
  total: 1
})

/** @throws ApiError if the only delivery of a request was not handled; nothing has changed then */
export function requireHandled(delivery: string, result: ReplayedDeliveries | DroppedDeliveries): void {
  if (('replayed' in result ? result.replayed : result.dropped) > 0) return
  const [left] = 'left' in result ? result.left : []
  if (left !== undefined) throw new ApiError('CIO_CONFLICT', `${delivery} stays parked: ${left.why}.`)
  if (result.interrupted && result.unknown.length === 0) {
    throw new ApiError('CIO_CONFLICT', `${delivery} stays parked: this was interrupted. Send it again.`)
  }
  throw unknownDelivery(delivery)
}

const unknownDelivery = (delivery: string): ApiError =>
  new ApiError('CIO_NOT_FOUND', `The parked delivery ${delivery} was not found.`)
