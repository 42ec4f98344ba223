// Tested by test/receive/route.test.ts and test/http.
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { type ErrorResponseCode, errorResponses } from '../errors.ts'

const CONTENT_TYPE = 'application/json; charset=utf-8'

/** Sends an error response of the catalogue. */
export function sendError(
  reply: FastifyReply,
  code: ErrorResponseCode,
  retryAfterSeconds?: number
): FastifyReply {
  const { status, body } = errorResponses[code]
  if (retryAfterSeconds !== undefined) reply.header('retry-after', Math.max(1, retryAfterSeconds))
  return reply.code(status).header('content-type', CONTENT_TYPE).send(body)
}

/** How long input is discarded before a connection is closed, and on how many connections at once. */
const LINGER_MS = 500
const MAX_LINGERING = 8
let lingering = 0

/**
 * Closes the connection after the response. Closing it while input is unread would reset it, and a client that is still
 * sending would lose the response (nginx answers 502 then). So input is discarded for a moment, on a few connections.
 */
export function closeAfterResponse(reply: FastifyReply): FastifyReply {
  reply.header('connection', 'close')
  const { socket } = reply.request.raw
  // A connection that is closed already, as after an abort, would never give its place back.
  if (lingering >= MAX_LINGERING || socket.destroyed) return reply
  lingering++
  socket.once('close', () => lingering--)
  // Node calls this after the last response of a connection.
  socket.destroySoon = () => {
    socket.end()
    setTimeout(() => socket.destroy(), LINGER_MS).unref()
  }
  return reply
}

/** As `sendError`, for a request that does not reach Fastify. Closes the connection. */
export function sendRawError(response: ServerResponse, code: ErrorResponseCode): void {
  const { status, body } = errorResponses[code]
  response.writeHead(status, {
    'content-type': CONTENT_TYPE,
    'content-length': body.length,
    connection: 'close'
  })
  response.end(body)
}

/** As `sendError`, for input that is not an HTTP request, or not in time. Closes the connection. */
export function sendSocketError(socket: Socket, code: ErrorResponseCode): void {
  if (socket.writable) {
    const { status, body } = errorResponses[code]
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${CONTENT_TYPE}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
    )
  }
  socket.destroySoon()
}
