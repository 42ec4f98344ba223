// Tested by test/redis/failure.slow.test.ts.
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { errorCode } from '../errors.ts'
import { codeCause, FINDINGS, isConclusive, replyCause } from './causes.ts'

/** Host and port of a server, or the path of its socket. */
export type Server = { readonly host: string; readonly port: number } | { readonly path: string }

interface Answer {
  /** Whether the connection, with TLS its handshake too, was complete. */
  readonly isConnected: boolean
  /** The first bytes of the reply. */
  readonly reply?: string
  /** Why there is none. */
  readonly code?: string
}

/** What `examine` finds if nothing is wrong: the server serves those who need no login. */
export const PONG = 'PONG'

const ANSWER_TIMEOUT_MS = 1000
const SHOWN_BYTES = 200

/**
 * Finds out why a server cannot be used, where the error of the client does not say it: a connection of its own, and a
 * PING without a login. If that fails, again with or without TLS. No password is sent.
 *
 * @param tls whether the configuration demands TLS
 * @returns the cause, or PONG; `undefined` if the server answers as a Redis does, but not to this PING. Takes at most 2 s
 */
export async function examine(server: Server, tls: boolean): Promise<string | undefined> {
  const asked = await ping(server, tls)
  if (asked.reply !== undefined) return findingOf(asked.reply)
  const { code = 'ECONNRESET' } = asked
  if (isConclusive(code) || (!tls && !asked.isConnected)) return codeCause(code)
  const other = await ping(server, !tls, false)
  if (!tls && other.isConnected) return FINDINGS.tls
  if (tls && other.reply !== undefined) return isReply(other.reply) ? FINDINGS.plain : findingOf(other.reply)
  if (tls && !other.isConnected) return codeCause(other.code ?? code)
  return code === 'ETIMEDOUT' ? FINDINGS.silent : codeCause(code)
}

function findingOf(reply: string): string | undefined {
  if (reply.startsWith('HTTP/')) return FINDINGS.http
  if (!isReply(reply)) return FINDINGS.other
  if (reply.startsWith('+')) return PONG
  // This PING has no login: what concerns that is not the cause.
  return /^-(?:NOAUTH|NOPERM|ERR (?!max))/.test(reply) ? undefined : replyCause(reply.slice(1).trimEnd())
}

const isReply = (reply: string): boolean => /^(?:\+PONG|-[A-Z]+ )/.test(reply)

/** @param isCertificateChecked false to find out only whether the server uses TLS */
function ping(server: Server, tls: boolean, isCertificateChecked = true): Promise<Answer> {
  return new Promise(resolve => {
    let isConnected = false
    const socket = tls ? connectTls({ ...server, rejectUnauthorized: isCertificateChecked }) : connect(server)
    const settle = (answer: Omit<Answer, 'isConnected'>): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ isConnected, ...answer })
    }
    const timer = setTimeout(() => settle({ code: 'ETIMEDOUT' }), ANSWER_TIMEOUT_MS)
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      isConnected = true
      socket.write('PING\r\n')
    })
    socket.once('data', data => settle({ reply: data.subarray(0, SHOWN_BYTES).toString('latin1') }))
    socket.on('error', error => settle({ code: errorCode(error) ?? 'ECONNRESET' }))
    socket.once('close', () => settle({ code: 'ECONNRESET' }))
  })
}
