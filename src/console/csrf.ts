// Tested by test/console/access.test.ts.
import { randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Secret } from '../secret.ts'
import { ConsoleError } from './console-error.ts'
import { field } from './form-fields.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Each form sends it back as `csrf`. */
    csrfToken: string
  }
}

const BYTES = 24
const FORM = new RegExp(`^[\\w-]{${(BYTES / 3) * 4}}$`)

/**
 * A random token in a cookie, which each form has to repeat: another site can make the browser send the cookie, but
 * cannot read it. It works before the log-in, behind a proxy, and on every replica.
 */
export function provideCsrfToken(request: FastifyRequest, reply: FastifyReply, isSecure: boolean): void {
  // With this prefix a browser accepts the cookie only from this host, over TLS: no other subdomain can set it.
  const name = isSecure ? '__Host-cio_csrf' : 'cio_csrf'
  const sent = request.cookies[name]
  if (sent !== undefined && FORM.test(sent)) {
    request.csrfToken = sent
    return
  }
  request.csrfToken = randomBytes(BYTES).toString('base64url')
  reply.setCookie(name, request.csrfToken, {
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: isSecure
  })
}

/** @throws ConsoleError if the form does not have the token of the cookie */
export function checkCsrfToken({ csrfToken, body }: FastifyRequest): void {
  const sent = field(body, 'csrf')
  if (sent !== undefined && sent !== '' && new Secret(csrfToken).equals(new Secret(sent))) return
  throw new ConsoleError(
    403,
    'Form expired',
    'The form was not made by this console, or is old. Load the page again.'
  )
}
