// Tested by test/console/access.test.ts and test/console/browser.slow.test.ts.
import { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Secret } from '../secret.ts'
import { LOG_OUT_PATH } from './access.ts'
import { IPV6_PREFIX_LENGTH } from './api/token-attempts.ts'
import { recordChange } from './audit.ts'
import { form } from './components.ts'
import { ConsoleError } from './console-error.ts'
import type { ConsoleContext } from './context.ts'
import type { EndedSessions } from './ended-sessions.ts'
import { field } from './form-fields.ts'
import { type Html, html } from './html.ts'
import { sendPage } from './layout.ts'
import { beginSession, endSession, type Role, sessionOf } from './sessions.ts'

/** Tries per minute. A password has at least 12 characters, so guessing at this rate is hopeless. */
const MAX_PER_ADDRESS = 10
const MAX_OVERALL = 30
const WINDOW_MS = 60_000

/** The log-in page, for access by password. */
export async function logInRoutes(
  app: FastifyInstance,
  { settings, audit }: ConsoleContext,
  endedSessions: EndedSessions
): Promise<void> {
  const { access } = settings
  if (access.kind !== 'password') return
  const perAddress = {
    max: MAX_PER_ADDRESS,
    timeWindow: WINDOW_MS,
    keyGenerator: (request: FastifyRequest) => normalizeIP(request.ip, IPV6_PREFIX_LENGTH)
  }
  const ofAddress = app.createRateLimit(perAddress)
  // Each is remembered for 12 hours, and whoever has a password can make sessions.
  const ofLogOuts = app.createRateLimit(perAddress)
  const ofAll = app.createRateLimit({ max: MAX_OVERALL, timeWindow: WINDOW_MS, keyGenerator: () => 'all' })

  app.get('/log-in', { config: { access: 'public' } }, (request, reply) =>
    request.person === undefined
      ? sendPage(request, reply, { title: 'Log in' }, logInForm(request))
      : reply.redirect('/', 303)
  )

  app.post('/log-in', { config: { access: 'public' } }, async (request, reply) => {
    // An address that is over its own limit does not use up the limit of all.
    const limits = [await ofAddress(request)]
    if (!isOver(limits[0])) limits.push(await ofAll(request))
    if (limits.some(isOver)) {
      const page = { title: 'Log in', status: 429 }
      reply.header('retry-after', WINDOW_MS / 1000)
      return sendPage(
        request,
        reply,
        page,
        logInForm(request, 'Too many tries. Wait a minute, then try again.')
      )
    }
    const role = roleOf(field(request.body, 'password'))
    if (role === undefined) {
      await audit.recordRefusal(entry(request, '-', undefined, 'log_in_refused'))
      return sendPage(request, reply, { title: 'Log in', status: 401 }, logInForm(request, 'Wrong password.'))
    }
    beginSession(request, role)
    await audit.record(entry(request, role, role, 'log_in'))
    return reply.redirect('/', 303)
  })

  app.post(LOG_OUT_PATH, { config: { access: 'viewer' } }, async (request, reply) => {
    if (isOver(await ofLogOuts(request))) throw tooManyLogOuts
    const session = sessionOf(request)
    endSession(request)
    await recordChange(audit, request, 'log_out', 'console')
    if (session !== undefined) await endedSessions.end(session.id).catch(() => Promise.reject(notEverywhere))
    return reply.redirect('/log-in', 303)
  })

  /** Compares with both passwords, in constant time. */
  function roleOf(password: string | undefined): Role | undefined {
    if (access.kind !== 'password' || password === undefined || password === '') return undefined
    const given = new Secret(password)
    const isOperator = access.operator?.equals(given) === true
    const isViewer = access.viewer?.equals(given) === true
    return isOperator ? 'operator' : isViewer ? 'viewer' : undefined
  }
}

const notEverywhere = new ConsoleError(
  503,
  'Logged out in this browser',
  'Redis does not answer, so the other replicas do not know it: they accept a copy of the cookie for up to 12 hours.'
)

const tooManyLogOuts = new ConsoleError(
  429,
  'Not logged out',
  'Too many log-outs came from this address. Wait a minute, then try again.'
)

const isOver = (limit: { isAllowed: boolean; isExceeded?: boolean } | undefined): boolean =>
  limit !== undefined && !limit.isAllowed && limit.isExceeded === true

const entry = (request: FastifyRequest, who: string, role: Role | undefined, action: string) => ({
  who,
  role,
  action,
  target: 'console',
  address: request.ip
})

function logInForm(request: FastifyRequest, problem?: string): Html {
  return html`<section class="card narrow">${form(
    request,
    '/log-in',
    html`${problem === undefined ? undefined : html`<p class="error" role="alert">${problem}</p>`}
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256" required autofocus>
<button class="primary" type="submit">Log in</button>`
  )}</section>`
}
