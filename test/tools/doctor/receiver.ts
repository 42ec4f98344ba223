import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { publishedAddresses } from '../../../src/receive/published-addresses.ts'
import { KEY, WEBHOOK_PATH } from '../../helpers/sign.ts'

/** How the small receiver behaves: correct by default; a test changes what it needs. */
export interface Habits {
  /** The bytes that it verifies. */
  signedBytes: (timestamp: string, body: Buffer) => Buffer
  /** Does the computed signature equal the claimed one? May throw, as in careless code. */
  matches: (expected: string, claimed: string) => boolean
  /** Does it verify signatures at all? */
  verifies: boolean
  key: string
  prefix: string
  /** Is this timestamp accepted? */
  isFresh: (timestamp: string, nowSeconds: number) => boolean
  /** The address that it takes for the sender's. */
  addressOf: (request: IncomingMessage) => string
  allowed: (address: string) => boolean
  /** Is this a new event? Remembers it. */
  isNew: (id: string, request: IncomingMessage, body: Buffer) => Promise<boolean>
  /** The status with which it refuses an authentic body; `undefined`: it accepts it. */
  refuses: (body: Buffer, request: IncomingMessage) => number | undefined
  limitBytes: number
  bodyTimeoutMs: number
  /** Called before the body is read. */
  onStart: (request: IncomingMessage) => void
  headers: Record<string, string>
  countsChunks: boolean
  redirectTo: string | undefined
  answerDelayMs: number
  metricsFor: (request: IncomingMessage) => boolean
  /** Further fields in the body of a refusal. */
  refusal: (expected: string, claimed: string) => Record<string, unknown>
  health: Record<string, unknown>
  /** The status for methods other than POST. */
  otherMethods: number
  /** Does it accept a signature over the body alone? */
  bodyScheme: boolean
  /** Do its answers contain the outcome of the event? */
  reportsOutcome: boolean
}

interface Receiver {
  readonly url: URL
  /** Requests so far, and the bodies accepted as new. */
  readonly requests: { method: string; url: string; userAgent: string | undefined; body: Buffer }[]
  readonly kept: Buffer[]
  close(): Promise<void>
}

function correctHabits(): Habits {
  const known = new Set<string>()
  return {
    signedBytes: (timestamp, body) => Buffer.concat([Buffer.from(`v0:${timestamp}:`), body]),
    matches: (expected, claimed) =>
      claimed.length === expected.length &&
      timingSafeEqual(Buffer.from(expected), Buffer.from(claimed, 'latin1')),
    verifies: true,
    key: KEY,
    prefix: '',
    isFresh: (timestamp, now) =>
      /^\d{1,12}$/.test(timestamp) && now - Number(timestamp) < 7 * 86_400 && Number(timestamp) - now < 300,
    addressOf: request => request.socket.remoteAddress ?? '',
    allowed: address => [...publishedAddresses, '127.0.0.1'].includes(address.replace('::ffff:', '')),
    isNew: async id => !known.has(id) && known.add(id) !== undefined,
    refuses: () => undefined,
    limitBytes: 5 * 1024 * 1024,
    // Longer than the second over which the doctor spreads a slow body.
    bodyTimeoutMs: 1600,
    onStart: () => {},
    headers: {},
    countsChunks: true,
    redirectTo: undefined,
    answerDelayMs: 0,
    metricsFor: () => false,
    refusal: () => ({}),
    health: { status: 'ok' },
    otherMethods: 405,
    bodyScheme: false,
    reportsOutcome: true
  }
}

export async function startReceiver(
  change: Partial<Habits> = {},
  tls?: { readonly key: string; readonly cert: string }
): Promise<Receiver> {
  const habits = { ...correctHabits(), ...change }
  const requests: Receiver['requests'] = []
  const kept: Buffer[] = []
  const listener: RequestListener = (request, response) => {
    const seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      userAgent: request.headers['user-agent'],
      body: Buffer.alloc(0)
    }
    requests.push(seen)
    for (const [name, value] of Object.entries(habits.headers)) response.setHeader(name, value)
    handle(request, response, seen).catch((error: Error) => {
      if (!response.headersSent) say(response, 500, { error: 'oops', ...habits.refusal('', '') })
      void error
    })
  }
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: new URL(`${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}${WEBHOOK_PATH}`),
    requests,
    kept,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }

  async function handle(
    request: IncomingMessage,
    response: ServerResponse,
    seen: Receiver['requests'][number]
  ): Promise<void> {
    if (request.url === '/healthz') return say(response, 200, habits.health)
    if (request.url === '/metrics') {
      if (!habits.metricsFor(request)) return say(response, 403, { error: 'not for you' })
      response.end('# HELP up Whether it is up\n# TYPE up gauge\nup 1\n')
      return
    }
    if (habits.redirectTo !== undefined && request.url === WEBHOOK_PATH) {
      response.setHeader('location', habits.redirectTo)
      return say(response, 308, {})
    }
    if (request.method !== 'POST') return say(response, habits.otherMethods, {})
    if (!habits.allowed(habits.addressOf(request)))
      return say(response, 403, { error: 'no', code: 'CIO_SOURCE_FORBIDDEN' })
    if (Number(request.headers['content-length'] ?? 0) > habits.limitBytes)
      return say(response, 413, { error: 'large' })
    habits.onStart(request)
    const body = await readBody(request)
    if (typeof body === 'number') return say(response, body, { error: 'body' })
    seen.body = body
    await receive(request, response, body)
  }

  async function receive(request: IncomingMessage, response: ServerResponse, body: Buffer): Promise<void> {
    if (habits.verifies) {
      const timestamp = String(request.headers['x-cio-timestamp'] ?? '')
      const claimed = String(request.headers['x-cio-signature'] ?? '')
      const bodyAlone = habits.bodyScheme && request.headers['x-cio-timestamp'] === undefined
      const mac = createHmac('sha256', habits.key)
        .update(bodyAlone ? body : habits.signedBytes(timestamp, body))
        .digest('hex')
      const expected = habits.prefix + mac
      if (
        claimed === '' ||
        !habits.matches(expected, claimed) ||
        !(bodyAlone || habits.isFresh(timestamp, Date.now() / 1000))
      ) {
        return say(response, 401, { error: 'no', ...habits.refusal(expected, claimed) })
      }
    }
    const refused = habits.refuses(body, request)
    if (refused !== undefined) return say(response, refused, { error: 'what is this?' })
    const id = idOf(body) ?? `${request.headers['x-cio-timestamp']}${body.toString('latin1')}`
    const isNew = await habits.isNew(id, request, body)
    if (isNew) kept.push(body)
    if (habits.answerDelayMs > 0) await sleep(habits.answerDelayMs)
    say(response, 200, habits.reportsOutcome ? { status: isNew ? 'accepted' : 'duplicate' } : {})
  }

  async function readBody(request: IncomingMessage): Promise<Buffer | number> {
    const chunks: Buffer[] = []
    let bytes = 0
    const timer = setTimeout(() => request.emit('late'), habits.bodyTimeoutMs)
    try {
      return await new Promise((resolve, reject) => {
        request.once('late', () => resolve(408))
        request.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (habits.countsChunks && bytes > habits.limitBytes) resolve(413)
          else chunks.push(chunk)
        })
        request.once('end', () => resolve(Buffer.concat(chunks)))
        request.once('error', reject)
      })
    } finally {
      clearTimeout(timer)
    }
  }
}

function say(response: ServerResponse, status: number, body: Record<string, unknown>): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' })
  response.end(JSON.stringify(body))
}

export function objectOf(body: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

const idOf = (body: Buffer): string | undefined => {
  const id = objectOf(body)?.['event_id']
  return typeof id === 'string' ? id : undefined
}
