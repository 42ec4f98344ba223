// Tested by test/http/server.test.ts and test/receive/route.test.ts.
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify'
import { type AddressList, compileAddressList } from './address-list.ts'
import { createHttpServer, type HttpServerOptions } from './http/server.ts'
import { sendError } from './ops/error-responses.ts'
import { type Health, healthRoutes, type MetricsRoute, metricsRoute } from './ops/health.ts'
import { type ReceiverDependencies, receiver, WEBHOOK_PATH } from './receive/route.ts'
import type { Config } from './settings/config.ts'

interface AppDependencies extends ReceiverDependencies {
  readonly config: ReceiverDependencies['config'] & Pick<Config, 'http' | 'metrics'>
  readonly health: () => Health
  readonly isDraining: () => boolean
  /** `undefined` if `/metrics` has a port of its own. */
  readonly metricsRoute: MetricsRoute | undefined
}

/** All routes. It does not listen yet. */
export async function buildApp(dependencies: AppDependencies): Promise<FastifyInstance> {
  const { config, ipAllowlist } = dependencies
  const isTrusted = compileAddressList(config.admission.trustedProxies)
  const isKnownPeer = (peer: string): boolean => ipAllowlist.isKnown(peer) || isTrusted(peer)
  const app = createHttp({ keepAliveMs: config.http.keepAliveMs, isKnownPeer }, isTrusted)
  app.addHook('onRequest', (_request, reply, done) => {
    // A load balancer must not reuse a connection that is about to be closed.
    if (dependencies.isDraining()) reply.header('connection', 'close')
    done()
  })
  healthRoutes(app, dependencies.health, config.metrics.allowed)
  if (dependencies.metricsRoute !== undefined) metricsRoute(app, dependencies.metricsRoute)
  await app.register(receiver, dependencies)
  return app
}

/** `/metrics` alone, for a port of its own. */
export function buildMetricsApp(route: MetricsRoute, keepAliveMs: number): FastifyInstance {
  const none = (): boolean => false
  const app = createHttp({ keepAliveMs, isKnownPeer: none }, none)
  metricsRoute(app, route)
  return app
}

function createHttp(options: HttpServerOptions, isTrustedProxy: AddressList): FastifyInstance {
  const app = fastify({
    logController: new LogController({ disableRequestLogging: true }),
    // A connection that was reset has no address.
    trustProxy: (address: string | undefined) => isTrustedProxy(address ?? ''),
    serverFactory: handler => createHttpServer(handler, options),
    clientErrorHandler: () => {}, // our server has its own
    // `POST http://host/path`: a server has to accept it (RFC 9112, 3.2.2).
    rewriteUrl: ({ url = '/' }) => (url.startsWith('/') ? url : url.replace(/^https?:\/\/[^/?#]*/i, '')),
    routerOptions: { ignoreTrailingSlash: true },
    // During shutdown a delivery on an open connection is still answered, with `connection: close`.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (_error, _request, reply) => sendError(reply, 'CIO_NOT_FOUND')
  })
  // Only the receiver reads bodies: it reserves memory for them first.
  app.addHttpMethod('POST', { hasBody: false, overrideExisting: true })
  app.removeAllContentTypeParsers()
  app.setErrorHandler((_error, request, reply) =>
    // A request to an unknown path can fail earlier, for example on its content type.
    request.is404 ? refuseUnknown(request, reply) : sendError(reply, 'CIO_UNAVAILABLE')
  )
  app.setNotFoundHandler(refuseUnknown)
  return app
}

/** A wrong method of the webhook gets 405, any other unknown route 404. */
function refuseUnknown(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [path = ''] = request.url.split('?', 1)
  const isWebhook =
    path.startsWith(WEBHOOK_PATH) && /^(\/[a-z0-9_-]+)?\/?$/.test(path.slice(WEBHOOK_PATH.length))
  return isWebhook && request.method !== 'POST'
    ? sendError(reply.header('allow', 'POST'), 'CIO_METHOD_NOT_ALLOWED')
    : sendError(reply, 'CIO_NOT_FOUND')
}
