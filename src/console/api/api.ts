// Tested by test/console/api.slow.test.ts and test/docs/console-api.slow.test.ts.
import type { FastifyInstance } from 'fastify'
import { stringifyExactly } from '../../exact-json.ts'
import { ApiError } from '../api-error.ts'
import type { ConsoleContext } from '../context.ts'
import { consumerRoutes } from './consumer-routes.ts'
import { eventRoutes } from './event-routes.ts'
import { overviewRoutes } from './overview-routes.ts'
import { parkedRoutes } from './parked-routes.ts'
import { sendApiError } from './send-api-error.ts'

/**
 * The JSON API of the console, `/api/v1`, described in docs/openapi.yaml. It calls the functions of the command line,
 * and answers with the JSON that the commands print with `--json`.
 */
export async function apiRoutes(app: FastifyInstance, context: ConsoleContext): Promise<void> {
  await app.register(
    async api => {
      const parseJson = api.getDefaultJsonParser('error', 'error')
      api.removeAllContentTypeParsers()
      api.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
        if (body.length === 0) done(null, undefined)
        else parseJson(request, String(body), done)
      })
      api.setReplySerializer(payload => stringifyExactly(payload))
      api.setErrorHandler((error, request, reply) => sendApiError(request, reply, error, context))
      api.setNotFoundHandler((request, reply) =>
        sendApiError(request, reply, new ApiError('CIO_NOT_FOUND', NO_ROUTE), context)
      )
      api.addHook('onSend', async (_request, reply) => {
        if (!reply.hasHeader('content-type')) reply.type('application/json; charset=utf-8')
      })
      overviewRoutes(api, context)
      eventRoutes(api, context)
      consumerRoutes(api, context)
      parkedRoutes(api, context)
    },
    { prefix: '/api/v1' }
  )
}

const NO_ROUTE = 'There is no such path and method. docs/openapi.yaml lists them.'
