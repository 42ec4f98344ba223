import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { sendRawError, sendSocketError } from '../ops/error-responses.ts'
import { limitUnknownPeers } from './unknown-peers.ts'

export interface HttpServerOptions {
  /** How long an idle connection is kept open. */
  readonly keepAliveMs: number
  /** Is the peer of a connection on a list, or a trusted proxy? */
  readonly isKnownPeer: (address: string) => boolean
}

/** Headers take longer than this only from somebody who means harm. */
const HEADERS_TIMEOUT_MS = 3000
/** When an answered request whose body never ends is cut off. */
const REQUEST_TIMEOUT_MS = 10_000
const CHECK_INTERVAL_MS = 500
/** Each name and value is an object for V8, so that 16 KiB of headers can cost a megabyte. */
const MAX_HEADERS = 1000
/** From unknown peers: at about 60 kB each, 60 MB. */
const MAX_UNKNOWN_CONNECTIONS = 1000

/**
 * node:http, with an answer in JSON for everything that it would answer by itself or drop without a word.
 *
 * Too many headers are a 431, by bytes (16 KiB) and by number. Node would drop those beyond a number silently, and
 * `x-forwarded-for`, which a proxy appends last, would be the first to go.
 */
export function createHttpServer(
  handler: RequestListener,
  { keepAliveMs, isKnownPeer }: HttpServerOptions
): Server {
  /** The latest request of each connection. */
  const latest = new WeakMap<Socket, ServerResponse>()
  const failed = new WeakSet<Socket>()
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    keepAliveTimeout: keepAliveMs,
    requireHostHeader: false // checked below, since Node's own answer has no body
  })
  server.maxHeadersCount = MAX_HEADERS + 1
  const unknownPeers = limitUnknownPeers(server, isKnownPeer, MAX_UNKNOWN_CONNECTIONS)
  server.on('request', take)
  // The receiver sends 100 once it has set memory aside; all other expectations are ignored.
  server.on('checkContinue', take)
  server.on('checkExpectation', take)
  server.on('connect', (_request, socket: Socket) => {
    socket.on('error', () => {}) // Node has let go of it
    sendSocketError(socket, 'CIO_METHOD_NOT_ALLOWED')
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (failed.has(socket)) return
    failed.add(socket)
    refuseBroken(error, socket)
  })
  return server

  function take(...[request, response]: Parameters<RequestListener>): void {
    latest.set(request.socket, response)
    if (!unknownPeers.admit(request, response)) return
    const isHostMissing = request.headers.host === undefined && request.httpVersion === '1.1'
    if (request.rawHeaders.length > 2 * MAX_HEADERS) sendRawError(response, 'CIO_HEADERS_TOO_LARGE')
    else if (isHostMissing) sendRawError(response, 'CIO_BAD_REQUEST')
    else handler(request, response)
  }

  /** The connection broke the protocol, or was too slow. Each request gets one answer, and its own. */
  function refuseBroken(error: NodeJS.ErrnoException, socket: Socket): void {
    const code = brokenBy[error.code ?? ''] ?? 'CIO_BAD_REQUEST'
    const response = latest.get(socket)
    const isBodyPending = response !== undefined && !response.req.complete
    if (error.code === 'ECONNRESET' || (isBodyPending && response.writableEnded)) socket.destroy()
    else if (response === undefined || isBodyPending || response.writableFinished) {
      sendSocketError(socket, code)
    } else {
      // What is broken came behind a whole request, which is answered first.
      response.once('close', () => sendSocketError(socket, code))
    }
  }
}

const brokenBy = {
  HPE_HEADER_OVERFLOW: 'CIO_HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'CIO_REQUEST_TIMEOUT'
} as Readonly<Record<string, 'CIO_HEADERS_TOO_LARGE' | 'CIO_REQUEST_TIMEOUT'>>
