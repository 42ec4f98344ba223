// Tested by test/console/access.test.ts and test/console/browser.slow.test.ts.
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify, LogController } from 'fastify'
import { compileAddressList } from '../address-list.ts'
import { connectRedis } from '../redis/connect.ts'
import {
  API_PATH,
  enforceAccess,
  enforceLogOut,
  isChange,
  isCrossSite,
  isKnownHost,
  personOf
} from './access.ts'
import { apiRoutes } from './api/api.ts'
import { limitWrongTokens } from './api/token-attempts.ts'
import { assetRoutes } from './assets.ts'
import { createAudit } from './audit.ts'
import { ConsoleError } from './console-error.ts'
import type { ConsoleContext, ConsoleDependencies, ConsolePage } from './context.ts'
import { checkCsrfToken, provideCsrfToken } from './csrf.ts'
import { createEndedSessions } from './ended-sessions.ts'
import { field } from './form-fields.ts'
import { html } from './html.ts'
import { sendPage } from './layout.ts'
import { createLiveUpdates } from './live.ts'
import { logInRoutes } from './log-in.ts'
import { auditPage } from './pages/audit.ts'
import { consumerPages } from './pages/consumers/consumers.ts'
import { eventPage } from './pages/events/event-page.ts'
import { eventListPage } from './pages/events/list-page.ts'
import { sendAgainPage } from './pages/events/send-again-page.ts'
import { overviewPage } from './pages/overview.ts'
import { parkedPages } from './pages/parked/parked.ts'
import { sourcesPage } from './pages/sources.ts'
import { provideSessions, SESSION_SECONDS, secureSessions } from './sessions.ts'
import { createStatusReader } from './status.ts'

/** A new page is added here, and in the navigation of layout.ts. */
const pages: readonly ConsolePage[] = [
  overviewPage,
  eventListPage,
  eventPage,
  sendAgainPage,
  consumerPages,
  parkedPages,
  sourcesPage,
  auditPage
]

/** Forms have a few short fields. */
const BODY_LIMIT_BYTES = 64 * 1024
const REQUEST_TIMEOUT_MS = 10_000
/** `<source>/<event id>` has up to 321 characters. */
const MAX_PARAM_LENGTH = 512
/** Of which the live pages take at most 50. */
const MAX_CONNECTIONS = 200

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  // Not no-referrer: with it, browsers send `origin: null` with our own forms, which `isCrossSite` refuses.
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store'
}

/** The console with all its routes. It does not listen yet. */
export async function buildConsole(dependencies: ConsoleDependencies): Promise<FastifyInstance> {
  const { settings, config, log } = dependencies
  const { url, access } = settings
  const isTrustedProxy = compileAddressList(config.admission.trustedProxies)
  const app = fastify({
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: (address: string | undefined) => isTrustedProxy(address ?? ''),
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // By default, Node looks for those that are over the limit every 30 s.
    http: { headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1000 },
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_PARAM_LENGTH },
    // Of a path that is not valid percent-encoding.
    frameworkErrors: (_error, _request, reply) => {
      reply.raw.writeHead(400, { 'content-type': 'application/json; charset=utf-8' })
      reply.raw.end(JSON.stringify({ error: 'The path is malformed.', code: 'CIO_BAD_REQUEST' }))
    },
    forceCloseConnections: true // live pages would keep it open
  })
  app.server.maxConnections = MAX_CONNECTIONS
  const isSecure = (request: FastifyRequest): boolean =>
    url?.protocol === 'https:' || request.protocol === 'https'

  app.addHook('onRoute', ({ url, config }) => {
    if (config?.access === undefined) throw new Error(`the route ${url} does not declare its access`)
  })
  app.decorateRequest('person', undefined)
  app.decorateRequest('csrfToken', '')
  await app.register(cookie)
  await provideSessions(app, access)
  await app.register(formbody, { bodyLimit: BODY_LIMIT_BYTES })
  await app.register(rateLimit, { global: false })
  const identifyByToken = limitWrongTokens(app)
  const endedSessions = createEndedSessions(dependencies.redis, config.log.keyPrefix, SESSION_SECONDS)

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS)
    if (isSecure(request)) secureSessions(request)
    // An asset may be kept by a shared cache, so it has no cookies. A program with a token needs none.
    const isApi = request.url.startsWith(API_PATH)
    if (!isApi && !request.url.startsWith('/assets/')) provideCsrfToken(request, reply, isSecure(request))
    if (!isKnownHost(request.host, url)) throw unknownHost
    if (isChange(request) && isCrossSite(request, url)) throw crossSite
    const identify = () => personOf(request, settings, isTrustedProxy)
    request.person = isApi ? await identifyByToken(request, identify) : identify()
    if (access.kind === 'password' && request.person !== undefined && !isApi) {
      await enforceLogOut(request, endedSessions)
    }
    return enforceAccess(request, reply)
  })
  app.addHook('preHandler', async request => {
    // A program with the token has no cookies, so there is nothing that another site could use.
    if (isChange(request) && !request.is404 && !request.url.startsWith(API_PATH)) checkCsrfToken(request)
  })

  app.setNotFoundHandler((request, reply) =>
    sendError(request, reply, new ConsoleError(404, 'Not found', 'There is no such page.'))
  )
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof ConsoleError) return sendError(request, reply, error)
    const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
    if (status >= 400 && status < 500) return sendError(request, reply, badRequest(status))
    log.error({ err: error, path: request.routeOptions.url }, 'console: a page failed')
    return sendError(request, reply, dependencies.isRedisUp() ? failed : redisDown)
  })

  const context: ConsoleContext = {
    ...dependencies,
    openBlocking: () => connectRedis(dependencies.redisAddress, 'blocking'),
    status: createStatusReader(dependencies),
    audit: createAudit(dependencies.redis, config.log.keyPrefix, log),
    live: createLiveUpdates(app, endedSessions, error =>
      log.debug({ err: error }, 'console: a live page was not updated')
    )
  }
  assetRoutes(app)
  await logInRoutes(app, context, endedSessions)
  themeRoute(app)
  for (const page of pages) page(app, context)
  await apiRoutes(app, context)
  return app
}

/** Light, dark, or as the system has it: a cookie, so that it works without JavaScript. */
function themeRoute(app: FastifyInstance): void {
  app.post('/theme', { config: { access: 'public' } }, (request, reply) => {
    const theme = field(request.body, 'theme')
    const cookie = { path: '/', httpOnly: true, sameSite: 'strict', maxAge: 366 * 24 * 60 * 60 } as const
    if (theme === 'light' || theme === 'dark') reply.setCookie('cio_theme', theme, cookie)
    else reply.clearCookie('cio_theme', cookie)
    return reply.redirect('/', 303)
  })
}

function sendError(request: FastifyRequest, reply: FastifyReply, error: ConsoleError): FastifyReply {
  const { status, title, message } = error
  const back = request.person === undefined ? 'Log in' : 'To the overview'
  return sendPage(
    request,
    reply,
    { title, status },
    html`<div class="empty"><p>${message}</p><p><a class="button" href="/">${back}</a></p></div>`
  )
}

const unknownHost = new ConsoleError(
  421,
  'Unknown host',
  'This console does not know the host name in the address bar. Set CONSOLE_URL to the address that people open.'
)
const crossSite = new ConsoleError(
  403,
  'From another site',
  'A form of another site was sent here. It had no effect.'
)
const failed = new ConsoleError(500, 'Something failed', 'The log of the service has the cause. Try again.')
const redisDown = new ConsoleError(
  503,
  'Redis does not answer',
  'This page needs Redis. Deliveries get 503 and are sent again by Customer.io. The log of the service has the cause.'
)
const badRequest = (status: number): ConsoleError =>
  new ConsoleError(status, 'Request refused', 'The request is too large or malformed.')
