import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { sendRawError, sendSocketError } from '../ops/error-responses.ts'
import { limitUnknownPeers } from './unknown-peers.ts'

export interface HttpServerOptions {
  /** How long an idle connection stays open. */
  readonly keepAliveMs: number
  /** Whether the peer of a connection is on a list, or a trusted proxy. */
  readonly isKnownPeer: (address: string) => boolean
}

/** Only an attacker needs longer to send its headers. */
const HEADERS_TIMEOUT_MS = 3000
/** A connection is closed after this time if its request was answered, but the body does not end. */
const REQUEST_TIMEOUT_MS = 10_000
const CHECK_INTERVAL_MS = 500
/** Each name and each value is an object of V8, so 16 KiB of headers can take a megabyte. */
const MAX_HEADERS = 1000
/** Connections of unknown peers: 60 MB at about 60 kB each. */
const MAX_UNKNOWN_CONNECTIONS = 1000

/**
 * node:http, with a JSON body in every answer of its own, and without silent drops.
 *
 * Too many headers are answered with 431, by bytes (16 KiB) and by number. Node would drop the ones beyond its limit
 * silently, first of all `x-forwarded-for`, which a proxy appends last.
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
    requireHostHeader: false // checked below: Node's own answer has no body
  })
  server.maxHeadersCount = MAX_HEADERS + 1
  const unknownPeers = limitUnknownPeers(server, isKnownPeer, MAX_UNKNOWN_CONNECTIONS)
  server.on('request', onRequest)
  // The receiver sends 100 once it has reserved memory. All other expectations are ignored.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('connect', (_request, socket: Socket) => {
    socket.on('error', () => {}) // Node has removed its own listener
    sendSocketError(socket, 'CIO_METHOD_NOT_ALLOWED')
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (failed.has(socket)) return
    failed.add(socket)
    refuseBroken(error, socket)
  })
  return server

  function onRequest(...[request, response]: Parameters<RequestListener>): void {
    latest.set(request.socket, response)
    if (!unknownPeers.admit(request, response)) return
    const isHostMissing = request.headers.host === undefined && request.httpVersion === '1.1'
    if (request.rawHeaders.length > 2 * MAX_HEADERS) sendRawError(response, 'CIO_HEADERS_TOO_LARGE')
    else if (isHostMissing) sendRawError(response, 'CIO_BAD_REQUEST')
    else handler(request, response)
  }

  /** The client violated the protocol, or was too slow. Each request gets exactly one answer. */
  function refuseBroken(error: NodeJS.ErrnoException, socket: Socket): void {
    const code = codes[error.code ?? ''] ?? 'CIO_BAD_REQUEST'
    const response = latest.get(socket)
    const isBodyPending = response !== undefined && !response.req.complete
    if (error.code === 'ECONNRESET' || (isBodyPending && response.writableEnded)) socket.destroy()
    else if (response === undefined || isBodyPending || response.writableFinished) {
      sendSocketError(socket, code)
    } else {
      // A complete request precedes the error, and is answered first.
      response.once('close', () => sendSocketError(socket, code))
    }
  }
}

const codes = {
  HPE_HEADER_OVERFLOW: 'CIO_HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'CIO_REQUEST_TIMEOUT'
} as Readonly<Record<string, 'CIO_HEADERS_TOO_LARGE' | 'CIO_REQUEST_TIMEOUT'>>
