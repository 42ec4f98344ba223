// Tested by test/console/api.slow.test.ts.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Role } from '../sessions.ts'
import { noBody, noParams, noQuery, parseInput } from './input.ts'

interface RouteSchemas<Params, Query, Body> {
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
}

interface RouteInput<Params, Query, Body> {
  readonly params: z.output<Params>
  readonly query: z.output<Query>
  readonly body: z.output<Body>
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * Adds a route. Its input is checked by the schemas; what they do not name is refused.
 *
 * @param route such as `GET /status`. Only an operator can use a route that is not a GET, except for a search
 * @param handle resolves with the JSON of the answer
 */
export function addRoute<
  Params extends z.ZodType = typeof noParams,
  Query extends z.ZodType = typeof noQuery,
  Body extends z.ZodType = typeof noBody
>(
  app: FastifyInstance,
  access: Role,
  route: `${'GET' | 'POST'} /${string}`,
  schemas: RouteSchemas<Params, Query, Body>,
  handle: (input: RouteInput<Params, Query, Body>) => Promise<unknown>
): void {
  const [method = '', url = ''] = route.split(' ')
  const { params = noParams, query = noQuery, body = noBody } = schemas
  app.route({
    method,
    url,
    config: { access },
    handler: async (request, reply) =>
      handle({
        params: parseInput(params, request.params, 'the path') as z.output<Params>,
        query: parseInput(query, request.query, 'the query') as z.output<Query>,
        body: parseInput(body, request.body, 'the body') as z.output<Body>,
        request,
        reply
      })
  })
}
