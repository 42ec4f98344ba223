import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { type RefusalCode, refusals } from '../errors.ts'

const CONTENT_TYPE = 'application/json; charset=utf-8'

/** Answers with an entry of the catalogue. */
export function sendError(reply: FastifyReply, code: RefusalCode, retryAfterSeconds?: number): FastifyReply {
  const { status, body } = refusals[code]
  if (retryAfterSeconds !== undefined) reply.header('retry-after', Math.max(1, retryAfterSeconds))
  return reply.code(status).header('content-type', CONTENT_TYPE).send(body)
}

/** How long input is discarded before a connection is closed, and on how many connections at once. */
const LINGER_MS = 500
const MAX_LINGERING = 8
let lingering = 0

/**
 * Closes the connection behind the answer. To close it while input is unread resets it, and a client that is still
 * sending loses the answer: behind nginx it gets a 502. So input is discarded for a moment, unless many ask for that.
 */
export function closeAfterAnswer(reply: FastifyReply): FastifyReply {
  reply.header('connection', 'close')
  if (lingering >= MAX_LINGERING) return reply
  lingering++
  const { socket } = reply.request.raw
  socket.once('close', () => lingering--)
  // Called by Node behind the last answer of a connection.
  socket.destroySoon = () => {
    socket.end()
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
  return reply
}

/** As `refuse`, for a request that does not reach Fastify; closes the connection. */
export function sendRawError(response: ServerResponse, code: RefusalCode): void {
  const { status, body } = refusals[code]
  response.writeHead(status, {
    'content-type': CONTENT_TYPE,
    'content-length': body.length,
    connection: 'close'
  })
  response.end(body)
}

/** As `refuse`, for what is not an HTTP request, or not one in time; closes the connection. */
export function refuseConnection(socket: Socket, code: RefusalCode): void {
  if (socket.writable) {
    const { status, body } = refusals[code]
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${CONTENT_TYPE}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
    )
  }
  socket.destroySoon()
}
