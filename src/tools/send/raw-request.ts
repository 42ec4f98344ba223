// Tested by test/tools/send/load.test.ts and test/tools/doctor/faults.slow.test.ts.
import { once } from 'node:events'
import { type Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Header } from './sign.ts'

/** One request, written byte for byte as described: no headers added, no redirects, no decoding, no retries. */
interface RawRequest {
  readonly url: URL
  readonly method: string
  /** Without `host` and the framing, which are added. */
  readonly headers: readonly Header[]
  /** Each piece is written by itself. If the iterable throws, the connection is closed. */
  readonly body: Buffer | AsyncIterable<Buffer>
  /** The value of `content-length`; `undefined`: a chunked body. */
  readonly declaredBytes: number | undefined
  readonly timeoutMs: number
  /** Without an agent, the connection is closed after the answer. */
  readonly agent?: Agent
  /** Default true. */
  readonly verifyCertificate?: boolean
}

export interface Answer {
  readonly kind: 'answer'
  readonly status: number
  readonly headers: readonly Header[]
  /** The first 64 KiB, as text. */
  readonly body: string
  /** From the call to the end of the answer. */
  readonly durationMs: number
  readonly remoteAddress: string | undefined
}

/** There was no complete answer in time, or no connection. */
export interface NoAnswer {
  readonly kind: 'none'
  readonly reason: 'timeout' | 'closed' | 'unreachable'
  /** Node's error code, such as ECONNREFUSED. */
  readonly code: string
  readonly durationMs: number
}

const KEPT_BYTES = 64 * 1024

/** Never rejects: a failure is the result. */
export async function sendRawRequest(spec: RawRequest): Promise<Answer | NoAnswer> {
  const startedMs = performance.now()
  const request = open(spec)
  let connected = false
  let timedOut = false
  let code = ''
  request.once('socket', socket => {
    connected = !socket.connecting
    if (connected) return
    socket.once('connect', () => {
      connected = true
    })
  })
  const timer = setTimeout(() => {
    timedOut = true
    request.destroy()
  }, spec.timeoutMs)

  const answered = new Promise<IncomingMessage | undefined>(resolve => {
    request.once('response', resolve)
    request.once('close', () => resolve(undefined))
    // Not `once`: after an early answer, the rest of an upload can fail too.
    request.on('error', (error: NodeJS.ErrnoException) => {
      code ||= error.code ?? error.message
    })
  })
  const durationMs = (): number => performance.now() - startedMs
  try {
    void write(request, spec.body, answered)
    const response = await answered
    if (response !== undefined) {
      // Before reading: at its end, the response gives its socket back to the agent.
      const { remoteAddress } = response.socket
      const body = await read(response)
      if (!timedOut) {
        return {
          kind: 'answer',
          status: response.statusCode ?? 0,
          headers: pairs(response.rawHeaders),
          body,
          durationMs: durationMs(),
          remoteAddress
        }
      }
    }
    // ECONNRESET implies a connection, even if the event `connect` has not been emitted yet.
    const reason = !connected && code !== 'ECONNRESET' ? 'unreachable' : timedOut ? 'timeout' : 'closed'
    code = timedOut ? 'ETIMEDOUT' : code || 'ECONNRESET'
    return { kind: 'none', reason, code, durationMs: durationMs() }
  } finally {
    clearTimeout(timer)
    if (spec.agent === undefined) request.destroy()
  }
}

function open({ url, method, headers, declaredBytes, agent, verifyCertificate }: RawRequest): ClientRequest {
  const framing: Header =
    declaredBytes === undefined ? ['transfer-encoding', 'chunked'] : ['content-length', String(declaredBytes)]
  const all: Header[] = [['host', url.host], ...headers]
  // An empty body needs no framing, except for POST.
  if (declaredBytes !== 0 || method === 'POST') all.push(framing)
  if (agent === undefined) all.push(['connection', 'close'])
  const options = {
    method,
    // As an array, so that repeated headers stay repeated.
    headers: all.flat(),
    ...(agent === undefined ? { agent: false as const } : { agent })
  }
  return url.protocol === 'https:'
    ? requestHttps(url, { ...options, rejectUnauthorized: verifyCertificate ?? true })
    : requestHttp(url, options)
}

/** Writes each piece after the one before was sent, until there is an answer. */
async function write(
  request: ClientRequest,
  body: RawRequest['body'],
  answered: Promise<unknown>
): Promise<void> {
  if (Buffer.isBuffer(body)) {
    request.end(body)
    return
  }
  let isAnswered = false
  const over = answered.then(() => {
    isAnswered = true
  })
  const pieces = body[Symbol.asyncIterator]()
  try {
    request.flushHeaders()
    for (;;) {
      const piece = await Promise.race([pieces.next(), over])
      if (isAnswered || piece === undefined) return
      if (piece.done) break
      await Promise.race([new Promise(resolve => request.write(piece.value, resolve)), over])
      if (isAnswered) return
    }
    request.end()
  } catch {
    request.destroy()
  }
}

async function read(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  response.on('data', (chunk: Buffer) => {
    if (bytes < KEPT_BYTES) chunks.push(chunk)
    bytes += chunk.length
  })
  response.on('error', () => {})
  if (!response.destroyed) await once(response, 'close').catch(() => {})
  return Buffer.concat(chunks).subarray(0, KEPT_BYTES).toString('utf8')
}

function pairs(raw: readonly string[]): readonly Header[] {
  return raw.flatMap((name, index) =>
    index % 2 === 0 ? [[name.toLowerCase(), raw[index + 1] ?? ''] as const] : []
  )
}
