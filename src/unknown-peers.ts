import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface UnknownPeers {
  /** Called for each request before it is handled. @returns false where the connection was closed instead */
  admit(request: IncomingMessage, response: ServerResponse): boolean
}

/** Requests that a client may send on one connection before the first of them is answered. Few clients send two. */
const MAX_PIPELINED = 32

/**
 * Bounds what peers can cost by their connections alone, if they are neither on a list nor a trusted proxy.
 *
 * @param maxConnections beyond it, the one that has been without a new request for longest is closed
 */
export function limitUnknownPeers(
  server: Server,
  isKnown: (address: string) => boolean,
  maxConnections: number
): UnknownPeers {
  /** The least recently active first, each with its latest request. */
  const unknown = new Map<Socket, { readonly response?: ServerResponse; readonly pipelined: number }>()
  server.on('connection', (socket: Socket) => {
    if (isKnown(socket.remoteAddress ?? '')) return
    unknown.set(socket, { pipelined: 0 })
    socket.once('close', () => unknown.delete(socket))
    if (unknown.size <= maxConnections) return
    const [oldest] = unknown.keys()
    oldest?.destroy()
  })
  return { admit }

  function admit({ socket, headers }: IncomingMessage, response: ServerResponse): boolean {
    const before = unknown.get(socket)
    if (before === undefined) return true
    const pipelined = before.response?.writableEnded === false ? before.pipelined + 1 : 0
    unknown.delete(socket)
    unknown.set(socket, { response, pipelined })
    if (socket.destroyed) return false
    if (pipelined > MAX_PIPELINED) {
      cutOff(socket)
      return false
    }
    if (headers['transfer-encoding'] !== undefined) closeWithAnswer(socket, response)
    return true
  }
}

/**
 * Chunks can be one byte each, and Node takes microseconds for each of them, also where nobody reads the body any more:
 * up to a second a turn of the event loop.
 */
function closeWithAnswer(socket: Socket, response: ServerResponse): void {
  response.shouldKeepAlive = false
  response.once('prefinish', () => cutOff(socket)) // all of it is with the kernel by then
}

/**
 * Closes a connection, and parses no more of what it has brought. Node reads 64 KiB at once and would make objects of
 * all of it: hundreds of requests, or thousands of chunks.
 */
export function cutOff(socket: Socket): void {
  // Not documented; Node's own server uses it. Where it is missing, the rest is parsed, and that is all.
  if ('parser' in socket && canPause(socket.parser)) socket.parser.pause()
  socket.destroy()
}

const canPause = (parser: unknown): parser is { readonly pause: () => void } =>
  typeof parser === 'object' && parser !== null && 'pause' in parser && typeof parser.pause === 'function'
