import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

interface UnknownPeers {
  /** Called for each request before it is handled. @returns false if the request must not be handled */
  admit(request: IncomingMessage, response: ServerResponse): boolean
}

/** Requests that a client may send on one connection before the first is answered. Few clients send even two. */
const MAX_PIPELINED = 32
/**
 * One turn of the event loop reads 64 KiB from every connection that has sent as much. After this time, the bytes of
 * unknown peers wait for the next turn, so that deliveries of known peers are not delayed. Node accepts one connection
 * per turn: with longer turns, known peers would wait behind many new connections.
 */
const MAX_TURN_MS = 10
/** Bytes parsed at once. The time limit and the state of the connection are checked before each slice. */
const SLICE_BYTES = 2048
/** Node needs microseconds per chunk of a body, whatever its size: seconds for a body of one-byte chunks. */
const SMALL_CHUNK_BYTES = 64
const MAX_SMALL_CHUNKS = 1024

/**
 * Bounds the cost of connections from peers that are neither on a list nor a trusted proxy (law 9).
 *
 * @param maxConnections beyond it, the connection whose last request is oldest is closed
 */
export function limitUnknownPeers(
  server: Server,
  isKnown: (address: string) => boolean,
  maxConnections: number
): UnknownPeers {
  /** Least recently active first, with the latest request of each. */
  const unknown = new Map<Socket, { readonly response?: ServerResponse; readonly pipelined: number }>()
  server.on('connection', (socket: Socket) => {
    if (isKnown(socket.remoteAddress ?? '')) return
    parseInSlices(socket)
    unknown.set(socket, { pipelined: 0 })
    socket.once('close', () => unknown.delete(socket))
    if (unknown.size <= maxConnections) return
    const [oldest] = unknown.keys()
    oldest?.destroy()
  })
  return { admit }

  function admit(request: IncomingMessage, response: ServerResponse): boolean {
    const { socket, headers } = request
    const before = unknown.get(socket)
    if (before === undefined) return true
    // A finished answer is still queued behind earlier ones, and until the end of the turn.
    const isPipelined = before.response?.writableFinished === false
    const pipelined = isPipelined ? before.pipelined + 1 : 0
    unknown.delete(socket)
    unknown.set(socket, { response, pipelined })
    if (socket.destroyed) return false
    if (pipelined > MAX_PIPELINED) {
      socket.destroy()
      return false
    }
    if (headers['transfer-encoding'] !== undefined) closeWithAnswer(socket, response)
    limitChunks(request)
    return true
  }
}

let turnStartedMs: number | undefined

/** Milliseconds since the first call in this turn of the event loop. */
function turnMs(): number {
  if (turnStartedMs === undefined) {
    turnStartedMs = performance.now()
    setImmediate(() => {
      turnStartedMs = undefined
    })
  }
  return performance.now() - turnStartedMs
}

const limited = new WeakSet<IncomingMessage>()

/** Closes the connection if the request's body comes in many small chunks, whether or not the body is read. */
export function limitChunks(request: IncomingMessage): void {
  if (request.headers['transfer-encoding'] === undefined || limited.has(request)) return
  limited.add(request)
  let chunks = 0
  let bytes = 0
  // Node's parser calls `push` for each chunk. A `data` listener would only run once the body is read.
  const push = request.push.bind(request)
  request.push = (chunk: Buffer | null, encoding) => {
    chunks++
    bytes += chunk?.length ?? 0
    const areSmall = chunks > MAX_SMALL_CHUNKS && bytes < chunks * SMALL_CHUNK_BYTES
    if (chunk === null || !areSmall) return push(chunk, encoding)
    request.socket.destroy()
    return false
  }
}

/** Otherwise Node parses the rest of a chunked body, even though it is not read. */
function closeWithAnswer(socket: Socket, response: ServerResponse): void {
  response.shouldKeepAlive = false
  response.once('prefinish', () => socket.destroy()) // the kernel has the whole answer by then
}

/**
 * Feeds Node's HTTP parser in slices, and stops when the connection is closed.
 *
 * Node reads up to 64 KiB at once and parses all of it in one go, even if the first request in it has closed the
 * connection. That can be thousands of requests or chunks, and no option limits it. node:http attaches its parser to each
 * socket as a `data` listener. This function replaces that listener by one that calls the original for each slice. Bytes
 * that must not be parsed yet go back to the socket with `unshift`.
 */
function parseInSlices(socket: Socket): void {
  const [parse] = socket.listeners('data')
  if (parse === undefined) return
  socket.removeListener('data', parse as (bytes: Buffer) => void)
  socket.on('data', (bytes: Buffer) => {
    for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
      if (socket.destroyed || socket.writableEnded) return
      // Node pauses a connection whose answers are not read: nothing must be parsed then.
      if (socket.isPaused()) return socket.unshift(bytes.subarray(start))
      if (turnMs() > MAX_TURN_MS) {
        socket.pause()
        socket.unshift(bytes.subarray(start))
        setImmediate(() => socket.resume())
        return
      }
      parse.call(socket, bytes.subarray(start, start + SLICE_BYTES))
    }
  })
}
