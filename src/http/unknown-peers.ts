import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface UnknownPeers {
  /** Called for each request before it is handled. @returns false if the request must not be handled */
  admit(request: IncomingMessage, response: ServerResponse): boolean
}

/** Requests that a client may send on one connection before the first of them is answered. Few clients send two. */
const MAX_PIPELINED = 32
/**
 * One turn of the event loop reads 64 KiB from every connection that has sent as much. What unknown peers send beyond
 * this time waits for the next turn, so that deliveries of known peers are not delayed. Node accepts one connection a
 * turn, so longer turns would keep known peers waiting behind many new connections.
 */
const MAX_TURN_MS = 10
/** Parsed at once: the time limit is checked, and a closed connection noticed, before the next slice. */
const SLICE_BYTES = 2048
/** Node takes microseconds for each chunk of a body, however small it is: seconds for a body of one-byte chunks. */
const SMALL_CHUNK_BYTES = 64
const MAX_SMALL_CHUNKS = 1024

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
    // An answer that is ready still waits for the ones before it, and for the end of the turn.
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
  // Node's parser calls `push` for each chunk. A `data` listener would be called only once somebody reads the body.
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

/** Node would parse the rest of a chunked body even if nobody reads it. */
function closeWithAnswer(socket: Socket, response: ServerResponse): void {
  response.shouldKeepAlive = false
  response.once('prefinish', () => socket.destroy()) // by then the kernel has all of it
}

/**
 * Parses what a connection brings in slices, and nothing once the connection is closed. Node reads 64 KiB at once and
 * parses all of it, also when the first request has closed the connection: thousands of chunks, or of requests.
 */
function parseInSlices(socket: Socket): void {
  const [parse] = socket.listeners('data')
  if (parse === undefined) return
  socket.removeListener('data', parse as (bytes: Buffer) => void)
  socket.on('data', (bytes: Buffer) => {
    for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
      if (socket.destroyed || socket.writableEnded) return
      // Node pauses a connection whose answers are not read, and must not be given more then.
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
