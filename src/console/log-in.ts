// Tested by test/console/access.test.ts and test/console/browser.slow.test.ts.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Secret } from '../secret.ts'
import { LOG_OUT_PATH } from './access.ts'
import { recordChange } from './audit.ts'
import { form } from './components.ts'
import { ConsoleError } from './console-error.ts'
import type { ConsoleContext } from './context.ts'
import type { EndedSessions } from './ended-sessions.ts'
import { field } from './form-fields.ts'
import { type Html, html } from './html.ts'
import { sendPage } from './layout.ts'
import { createLogInLimits, WINDOW_MS } from './log-in-limits.ts'
import { beginSession, endSession, type Role, roles, sessionOf } from './sessions.ts'

/** The log-in page, for access by password. */
export async function logInRoutes(
  app: FastifyInstance,
  { settings, audit, live }: ConsoleContext,
  endedSessions: EndedSessions
): Promise<void> {
  const { access } = settings
  if (access.kind !== 'password') return
  const limits = createLogInLimits(app, audit)

  app.get('/log-in', { config: { access: 'public' } }, (request, reply) =>
    request.person === undefined
      ? sendPage(request, reply, { title: 'Log in' }, logInForm(request))
      : reply.redirect('/', 303)
  )

  app.post('/log-in', { config: { access: 'public' } }, async (request, reply) => {
    const compared = await limits.mayLogIn(request)
    const role = roleOf(field(request.body, 'password'), compared)
    if (role === undefined) {
      if (compared.length > 0) await audit.recordRefusal(entry(request, '-', undefined, 'log_in_refused'))
      return refuse(request, reply, compared.length < roles.length)
    }
    beginSession(request, role)
    await audit.record(entry(request, role, role, 'log_in'))
    return reply.redirect('/', 303)
  })

  app.post(LOG_OUT_PATH, { config: { access: 'viewer' } }, async (request, reply) => {
    if (!(await limits.mayLogOut(request))) throw tooManyLogOuts
    const session = sessionOf(request)
    endSession(request)
    if (session !== undefined) live.endSession(session.id)
    await recordChange(audit, request, 'log_out', 'console')
    if (session !== undefined) await endedSessions.end(session.id).catch(() => Promise.reject(notEverywhere))
    return reply.redirect('/log-in', 303)
  })

  /** Compares with the passwords of some roles, in constant time. */
  function roleOf(password: string | undefined, compared: readonly Role[]): Role | undefined {
    if (access.kind !== 'password' || password === undefined || password === '') return undefined
    const given = new Secret(password)
    return compared.filter(role => access[role]?.equals(given) === true)[0]
  }

  function refuse(request: FastifyRequest, reply: FastifyReply, isLimited: boolean): FastifyReply {
    if (isLimited) reply.header('retry-after', WINDOW_MS / 1000)
    const problem = isLimited ? 'Too many tries. Wait a minute, then try again.' : 'Wrong password.'
    const page = { title: 'Log in', status: isLimited ? 429 : 401 }
    return sendPage(request, reply, page, logInForm(request, problem))
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
