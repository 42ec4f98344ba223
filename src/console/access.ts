import { isIP } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isLoopbackHost } from '../address.ts'
import { Secret } from '../secret.ts'
import type { ConsoleSettings } from '../settings/console.ts'
import { ConsoleError } from './console-error.ts'
import type { EndedSessions } from './ended-sessions.ts'
import { type Role, sessionOf } from './sessions.ts'

/** Every route declares it: `{ config: { access: 'viewer' } }`. `public`: also without a log-in. */
export type RouteAccess = Role | 'public'

/** Who makes a request. `name` is the identity that the proxy gave, or the role where people share a password. */
export interface Person {
  readonly name: string
  readonly role: Role
}

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: RouteAccess
  }
  interface FastifyRequest {
    /** `undefined` on public routes without a log-in. */
    person: Person | undefined
  }
}

export const API_PATH = '/api/v1/'
export const LOG_OUT_PATH = '/log-out'

/** The host of a request is known: not a name that an attacker's DNS points to this machine (DNS rebinding). */
export function isKnownHost(host: string | undefined, url: URL | undefined): boolean {
  if (host === undefined || !URL.canParse(`http://${host}`)) return false
  const { hostname, host: full } = new URL(`http://${host}`)
  return isLoopbackHost(hostname) || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0 || full === url?.host
}

/**
 * A change that another site's page makes the browser send. Browsers say in `sec-fetch-site` where a request comes
 * from; older ones send `origin`. A program without a browser sends neither, and has no cookie of anybody.
 */
export function isCrossSite(
  { headers, host }: Pick<FastifyRequest, 'headers' | 'host'>,
  url: URL | undefined
): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site !== 'same-origin'
  const { origin } = headers
  if (origin === undefined) return false
  return !URL.canParse(origin) || ![host, url?.host].includes(new URL(origin).host)
}

/**
 * The person of a request, by the settings of the console.
 *
 * @param isTrustedProxy whether the peer of the connection may name people
 * @returns `undefined` without a valid log-in
 * @throws ConsoleError if the request did not come through a trusted proxy, or the proxy named nobody
 */
export function personOf(
  request: FastifyRequest,
  { access, apiToken }: ConsoleSettings,
  isTrustedProxy: (address: string) => boolean
): Person | undefined {
  if (request.url.startsWith(API_PATH)) return apiClient(request, apiToken)
  if (access.kind === 'open') return { name: 'developer', role: 'operator' }
  if (access.kind === 'password') {
    const session = sessionOf(request)
    return session && { name: session.role, role: session.role }
  }
  if (!isTrustedProxy(request.socket.remoteAddress ?? '')) {
    throw new ConsoleError(
      403,
      'Not through the proxy',
      'This console is open only through the proxy that logs people in. Its address must be in TRUSTED_PROXIES.'
    )
  }
  const identity = request.headers[access.header]
  // Several values of one header are an array, or are joined by a comma: one of them is not from the proxy.
  if (typeof identity !== 'string' || !/^[^\s,]{1,254}$/.test(identity)) {
    throw new ConsoleError(
      403,
      'No identity',
      `The proxy did not name the person: it must send exactly one identity in the header ${access.header}.`
    )
  }
  const isOperator = access.operators.includes(identity.toLowerCase())
  return { name: identity, role: isOperator ? 'operator' : 'viewer' }
}

function apiClient({ headers }: FastifyRequest, token: Secret | undefined): Person | undefined {
  const given = /^Bearer (\S{1,256})$/i.exec(headers.authorization ?? '')?.[1]
  if (token === undefined || given === undefined) return undefined
  return token.equals(new Secret(given)) ? { name: 'api token', role: 'operator' } : undefined
}

/**
 * Ends the session of a request if it was logged out elsewhere. While Redis does not answer, pages are shown, so that an
 * outage can be seen, and people can log out; a change is refused.
 */
export async function enforceLogOut(request: FastifyRequest, ended: EndedSessions): Promise<void> {
  const session = sessionOf(request)
  if (session === undefined) return
  const isEnded = await ended.isEnded(session.id)
  if (isEnded === true) request.person = undefined
  const { config, url } = request.routeOptions
  const isHarmless = config.access === 'public' || url === LOG_OUT_PATH
  if (isEnded === undefined && isChange(request) && !isHarmless) {
    throw new ConsoleError(
      503,
      'Redis does not answer',
      'So it is not known whether you are logged in. Try again.'
    )
  }
}

export const isChange = ({ method }: Pick<FastifyRequest, 'method'>): boolean =>
  method !== 'GET' && method !== 'HEAD'

/** Whether to show what only an operator may use. Access itself is checked by `enforceAccess`. */
export const isOperator = ({ person }: FastifyRequest): boolean => person?.role === 'operator'

/** The one place where a role is checked. @throws ConsoleError, or redirects to the log-in page */
export function enforceAccess(request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  const { access } = request.routeOptions.config
  if (access === 'public' || request.is404) return undefined
  if (request.person === undefined) {
    if (request.url.startsWith(API_PATH)) {
      reply.header('www-authenticate', 'Bearer')
      throw new ConsoleError(
        401,
        'Not authorized',
        'Give the token of CONSOLE_API_TOKEN as a bearer token. Without one in the settings, the API is off.'
      )
    }
    if (request.method === 'GET') return reply.redirect('/log-in', 303)
    throw new ConsoleError(401, 'Not logged in', 'Your session has ended. Log in and try again.')
  }
  if (access === 'viewer' || (access === 'operator' && request.person.role === 'operator')) return undefined
  throw new ConsoleError(403, 'Not allowed', 'This needs the role operator. You have the role viewer.')
}
