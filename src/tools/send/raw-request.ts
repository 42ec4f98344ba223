import { once } from 'node:events'
import { type Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { Header } from './sign.ts'

/** One request, exactly as it is to be written: nothing is added, followed, decoded or tried again. */
export interface RawRequest {
  readonly url: URL
  readonly method: string
  /** Besides `host` and the framing. */
  readonly headers: readonly Header[]
  /** Its pieces as they are to leave. One that throws hangs up in the middle. */
  readonly body: Buffer | AsyncIterable<Buffer>
  /** What `content-length` says; `undefined`: the body is chunked. */
  readonly declaredBytes: number | undefined
  readonly timeoutMs: number
  /** Keeps connections; without one the connection is closed after the answer. */
  readonly agent?: Agent
  /** Is a certificate that can't be verified an end of it? */
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

/** Nothing came back: in time, before the connection ended, or because there was no connection. */
export interface NoAnswer {
  readonly kind: 'none'
  readonly reason: 'timeout' | 'closed' | 'unreachable'
  /** Node's code of the failure, such as ECONNREFUSED. */
  readonly code: string
  readonly durationMs: number
}

const KEPT_BYTES = 64 * 1024

/** Never rejects: what went wrong is the answer. */
export async function sendRawRequest(spec: RawRequest): Promise<Answer | NoAnswer> {
  const startedMs = performance.now()
  const request = open(spec)
  let connected = false
  let code = ''
  request.once('socket', socket => {
    if (socket.connecting) socket.once('connect', () => setConnected())
    else setConnected()
  })
  const setConnected = (): void => {
    connected = true
  }
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    request.destroy()
  }, spec.timeoutMs)

  const answered = new Promise<IncomingMessage | undefined>(resolve => {
    request.once('response', resolve)
    request.once('close', () => resolve(undefined))
    // Not `once`: after an early answer the rest of an upload can fail again.
    request.on('error', (error: NodeJS.ErrnoException) => {
      code ||= error.code ?? error.message
    })
  })
  const durationMs = (): number => performance.now() - startedMs
  try {
    void write(request, spec.body, answered)
    const response = await answered
    if (response !== undefined) {
      // A kept connection goes back to its agent, and is no longer the answer's.
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
    // Only a connection that was there can be reset, although the event for it may not have come yet.
    const reason = !connected && code !== 'ECONNRESET' ? 'unreachable' : timedOut ? 'timeout' : 'closed'
    return {
      kind: 'none',
      reason,
      code: timedOut ? 'ETIMEDOUT' : code || 'ECONNRESET',
      durationMs: durationMs()
    }
  } finally {
    clearTimeout(timer)
    if (spec.agent === undefined) request.destroy()
  }
}

function open({ url, method, headers, declaredBytes, agent, verifyCertificate }: RawRequest): ClientRequest {
  const framing: Header =
    declaredBytes === undefined ? ['transfer-encoding', 'chunked'] : ['content-length', String(declaredBytes)]
  const all: Header[] = [['host', url.host], ...headers]
  // A body of no bytes on a method that has none needs no framing.
  if (declaredBytes !== 0 || method === 'POST') all.push(framing)
  if (agent === undefined) all.push(['connection', 'close'])
  const options = {
    method,
    // An array is written as it stands: repeated headers stay repeated.
    headers: all.flat(),
    ...(agent === undefined ? { agent: false as const } : { agent })
  }
  return url.protocol === 'https:'
    ? requestHttps(url, { ...options, rejectUnauthorized: verifyCertificate ?? true })
    : requestHttp(url, options)
}

/** Writes the pieces one after the other, each when the one before has left, until there is an answer. */
async function write(
  request: ClientRequest,
  body: RawRequest['body'],
  answered: Promise<unknown>
): Promise<void> {
  if (Buffer.isBuffer(body)) {
    request.end(body)
    return
  }
  let settled = false
  const over = answered.then(() => {
    settled = true
  })
  const pieces = body[Symbol.asyncIterator]()
  try {
    request.flushHeaders()
    for (;;) {
      const piece = await Promise.race([pieces.next(), over])
      if (settled || piece === undefined) return
      if (piece.done) break
      await Promise.race([new Promise(resolve => request.write(piece.value, resolve)), over])
      if (settled) return
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
