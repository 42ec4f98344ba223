import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify'
import { refuse, refuseConnection } from './ops/answers.ts'
import { type Health, healthRoutes, type MetricsRoute, metricsRoute } from './ops/health.ts'
import { type ReceiverDependencies, receiver, refuseError, WEBHOOK_PATH } from './receive/route.ts'

export interface AppDependencies extends ReceiverDependencies {
  readonly health: () => Health
  readonly isDraining: () => boolean
  /** `undefined` where `/metrics` has a port of its own. */
  readonly metricsRoute: MetricsRoute | undefined
}

/** Headers take longer than this only from somebody who means harm. */
const HEADERS_TIMEOUT_MS = 3000
/** When an answered request whose body never ends is cut off. */
const REQUEST_TIMEOUT_MS = 10_000
const CHECK_INTERVAL_MS = 500

/** The whole HTTP side. Reads no environment, listens to nothing, decides nothing. */
export async function buildApp(dependencies: AppDependencies): Promise<FastifyInstance> {
  const app = createHttp(dependencies.config.admission.trustedProxies)
  app.addHook('onRequest', (_request, reply, done) => {
    // A load balancer must not keep a connection that we are about to end.
    if (dependencies.isDraining()) reply.header('connection', 'close')
    done()
  })
  healthRoutes(app, dependencies.health)
  if (dependencies.metricsRoute !== undefined) metricsRoute(app, dependencies.metricsRoute)
  await app.register(receiver, dependencies)
  return app
}

/** `/metrics` alone, for a port of its own. */
export function buildMetricsApp(route: MetricsRoute): FastifyInstance {
  const app = createHttp([])
  metricsRoute(app, route)
  return app
}

function createHttp(trustedProxies: readonly string[]): FastifyInstance {
  const app = fastify({
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: CHECK_INTERVAL_MS },
    // A delivery that comes on a kept connection while we close is still answered, with `connection: close`.
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    clientErrorHandler: refuseConnection,
    frameworkErrors: (_error, _request, reply) => refuse(reply, 'CIO_NOT_FOUND')
  })
  // Nothing but the receiver reads bodies, and it takes them as bytes.
  app.removeAllContentTypeParsers()
  app.setErrorHandler((error, request, reply) =>
    // A request for nothing we have can fail before anybody notices: on its content type, for one.
    request.is404 ? refuseUnknown(request, reply) : refuseError(error, request, reply)
  )
  app.setNotFoundHandler(refuseUnknown)
  return app
}

/** No route: is it the method that is wrong, or the path? */
function refuseUnknown(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [path = ''] = request.url.split('?', 1)
  const isWebhook = path === WEBHOOK_PATH || /^\/[a-z0-9_-]+$/.test(path.slice(WEBHOOK_PATH.length))
  return isWebhook && path.startsWith(WEBHOOK_PATH) && request.method !== 'POST'
    ? refuse(reply.header('allow', 'POST'), 'CIO_METHOD_NOT_ALLOWED')
    : refuse(reply, 'CIO_NOT_FOUND')
}
