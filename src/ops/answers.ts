import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { type RefusalCode, refusals } from '../errors.ts'

/** Answers with an entry of the catalogue. */
export function refuse(reply: FastifyReply, code: RefusalCode, retryAfterSeconds?: number): FastifyReply {
  const { status, body } = refusals[code]
  if (retryAfterSeconds !== undefined) reply.header('retry-after', Math.max(1, retryAfterSeconds))
  return reply.code(status).header('content-type', 'application/json; charset=utf-8').send(body)
}

const connectionFailures: Readonly<Record<string, RefusalCode>> = {
  HPE_HEADER_OVERFLOW: 'CIO_HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'CIO_REQUEST_TIMEOUT'
}

/** Answers what is no HTTP request, or none in time, and hangs up. */
export function refuseConnection(error: NodeJS.ErrnoException, socket: Socket): void {
  if (socket.writable && error.code !== 'ECONNRESET') {
    const { status, body } = refusals[connectionFailures[error.code ?? ''] ?? 'CIO_BAD_REQUEST']
    const reason = { 400: 'Bad Request', 408: 'Request Timeout', 431: 'Request Header Fields Too Large' }[
      status
    ]
    socket.write(
      `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
    )
  }
  socket.destroySoon()
}
