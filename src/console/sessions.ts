// Tested by test/console/access.test.ts and test/console/access.slow.test.ts.
import { randomBytes, randomUUID, scrypt } from 'node:crypto'
import secureSession, { type Session } from '@fastify/secure-session'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Secret } from '../secret.ts'
import type { ConsoleAccess } from '../settings/console.ts'

export const roles = ['operator', 'viewer'] as const

/** An operator may do everything, a viewer may only look. */
export type Role = (typeof roles)[number]

declare module '@fastify/secure-session' {
  interface SessionData {
    /** A random UUID, by which a log-out is remembered. */
    id: string
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Not there if the request failed early. Use `sessionOf`. */
    operatorSession?: Session
    viewerSession?: Session
  }
}

export const SESSION_SECONDS = 12 * 60 * 60
/** As OWASP recommends for 32 MiB: about 0.3 s of CPU for each guess. */
const KEY_COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 }
const KEY_BYTES = 32
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/

/**
 * Adds sessions in encrypted cookies. Each role has a cookie and a key of its own. The key is derived from the password
 * of the role and nothing else:
 *
 * - A session is valid on every replica and after a restart, also while Redis is down. It ends when its password changes.
 * - The password of a viewer is enough for sessions of viewers, and for nothing more. A key of both passwords would let
 *   viewers try passwords of operators against their own cookie, without any limit.
 * - A random key in Redis would let everybody who can read Redis become an operator.
 */
export async function provideSessions(app: FastifyInstance, access: ConsoleAccess): Promise<void> {
  const passwords = access.kind === 'password' ? access : undefined
  const sessions = roles.map(async role => ({
    sessionName: `${role}Session`,
    cookieName: `cio_${role}_session`,
    key: await sessionKey(role, passwords?.[role]),
    expiry: SESSION_SECONDS,
    cookie: { path: '/', httpOnly: true, sameSite: 'strict', secure: false, maxAge: SESSION_SECONDS } as const
  }))
  await app.register(secureSession, await Promise.all(sessions))
}

/** Without a password there are no sessions of this role. */
function sessionKey(role: Role, password: Secret | undefined): Promise<Buffer> {
  if (password === undefined) return Promise.resolve(randomBytes(KEY_BYTES))
  return new Promise((resolve, reject) => {
    scrypt(password.reveal(), `cio-webhook console session ${role}`, KEY_BYTES, KEY_COST, (error, key) =>
      error === null ? resolve(key) : reject(error)
    )
  })
}

/** The role and the id of the session that a request has; `undefined` without a log-in. */
export function sessionOf(request: FastifyRequest): { readonly role: Role; readonly id: string } | undefined {
  for (const role of roles) {
    // A viewer can write anything into a session of viewers.
    const id: unknown = request[`${role}Session`]?.get('id')
    if (typeof id === 'string' && UUID.test(id)) return { role, id }
  }
  return undefined
}

/** Begins a session instead of the one that the request has. */
export function beginSession(request: FastifyRequest, role: Role): void {
  for (const other of roles) if (other !== role) removeSession(request, other)
  const session = request[`${role}Session`]
  session?.regenerate()
  session?.set('id', randomUUID())
}

/** The answer deletes the cookie. A copy of it stays valid: see `EndedSessions`. */
export function endSession(request: FastifyRequest): void {
  for (const role of roles) removeSession(request, role)
}

function removeSession(request: FastifyRequest, role: Role): void {
  const session = request[`${role}Session`]
  if (session?.get('id') !== undefined) session.delete()
}

/** Browsers then send the cookies over TLS only. */
export function secureSessions(request: FastifyRequest): void {
  for (const role of roles) request[`${role}Session`]?.options({ secure: true })
}
