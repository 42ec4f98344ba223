// Tested by test/dispatch/http/http-consumer.slow.test.ts.
import { Pool } from 'undici'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import { parseRetryAfter } from '../../retry-after.ts'
import type { HttpSettings } from '../../settings/http-consumer.ts'
import { type EventTrace, traceHeaders } from '../../trace-context.ts'
import { failureCode } from '../failure.ts'
import { messageIdOf } from '../message-id.ts'
import { createDeadlines } from './deadlines.ts'
import { requestSigner } from './signature.ts'

/**
 * The outcome of one request. `answer` is a status or a code. `reason` is in our own words: it contains no text of the
 * response.
 */
export type PushOutcome =
  | { readonly kind: 'delivered'; readonly answer: string }
  | PushFailure
  /** 410: the receiver asks not to be called again. */
  | { readonly kind: 'gone'; readonly answer: string }
  /** The requests were aborted, because the service stops. */
  | { readonly kind: 'aborted' }

export interface PushFailure {
  readonly kind: 'failed'
  readonly answer: string
  readonly reason: string
  /**
   * `connection`: it was refused or broken. `overload`: the receiver, or a proxy before it, may have too much to do.
   * `event`: the receiver works, and refuses this event. `other`: it is unknown whether it would accept another event.
   */
  readonly cause: 'connection' | 'overload' | 'event' | 'other'
  readonly retryAfterMs?: number | undefined
}

type PushedEvent = Pick<OutgoingEvent, 'id' | 'source' | 'event'>

/** Posts events to one receiver. */
export interface Pusher {
  /**
   * One attempt. Never rejects.
   *
   * @param trace for the receiver, if it is recorded
   */
  push(event: PushedEvent, trace: EventTrace | undefined): Promise<PushOutcome>
  /** Aborts all requests, also later ones. */
  abort(): void
  close(): Promise<void>
}

/** A longer response body is not read to its end: its connection is closed instead of reused. */
const MAX_RESPONSE_BYTES = 64 * 1024
/** Shorter than the 5 s after which many servers close idle connections: no request meets a closing one. */
const KEEP_ALIVE_MS = 4000
/** With HTTP/2, requests on one connection. Many servers allow a hundred. */
const STREAMS_PER_CONNECTION = 100

/** About the content of a request. Others, such as 401, 404 or 429, concern every request. */
const EVENT_REFUSED = new Set([400, 409, 413, 415, 422])
/** What servers, and proxies whose server does not keep up, answer under too much load. 500 is mostly a defect. */
const OVERLOADED = new Set([408, 429, 502, 503, 504])

const ABORTED: PushOutcome = { kind: 'aborted' }
const TIMEOUT: PushOutcome = { kind: 'failed', answer: 'timeout', reason: 'timeout', cause: 'overload' }
/** The usual answers, so that they need not be made again and again. */
const DELIVERED = new Map([200, 201, 202, 204].map(status => [status, delivered(status)]))

/**
 * Each receiver gets its own connections, as many as requests may be in flight.
 *
 * The requests have no AbortSignal and none of undici's timeouts, which cost as much as signing. One timer for all bounds
 * each exchange by `timeoutMs`, from the connection to the end of the response.
 */
export function createPusher(
  { url, secrets, timeoutMs, http2 }: HttpSettings,
  connections: number,
  now: () => number
): Pusher {
  const { origin, pathname, search } = new URL(url)
  const path = pathname + search
  const sign = requestSigner(secrets)
  const deadlines = createDeadlines<Exchange>(timeoutMs, exchange => exchange.end(TIMEOUT))
  let aborted = false
  const pool = new Pool(origin, {
    connections,
    // With HTTP/1.1 there is one request per connection all the same, because a POST is never pipelined.
    ...(http2 ? { allowH2: true, pipelining: STREAMS_PER_CONNECTION } : { pipelining: 1 }),
    connect: { timeout: timeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: 16 * 1024
  })

  return {
    push: (event, trace) => {
      if (aborted) return Promise.resolve(ABORTED)
      const body = Buffer.from(event.event)
      const signed = sign(messageIdOf(event), body, now())
      const headers = trace === undefined ? signed : [...signed, ...traceHeaders(trace)]
      return new Promise(resolve => {
        const exchange = createExchange(outcome => {
          deadlines.delete(exchange)
          resolve(outcome)
        }, now)
        deadlines.add(exchange)
        // HTTP/2 sends only idempotent requests side by side. An event may arrive twice anyway.
        pool.dispatch({ path, method: 'POST', headers, body, idempotent: http2 }, exchange)
      })
    },
    abort: () => {
      aborted = true
      for (const exchange of deadlines.all()) exchange.end(ABORTED)
    },
    close: () => pool.destroy()
  }
}

type Exchange = ReturnType<typeof createExchange>

/** Receives the response, as undici's dispatcher calls it. */
function createExchange(onEnd: (outcome: PushOutcome) => void, now: () => number) {
  let abort: ((error?: Error) => void) | undefined
  let outcome: PushOutcome | undefined
  let bytes = 0
  let ended = false

  return {
    /** Ends it before the response has. */
    end: (reason: PushOutcome): void => {
      // The status decides. Errors of the body, for example that it never ends, do not matter.
      finish(outcome ?? reason)
      abort?.()
    },
    onConnect: (abortRequest: (error?: Error) => void): void => {
      if (ended) abortRequest()
      else abort = abortRequest
    },
    onHeaders: (status: number, headers: Buffer[]): boolean => {
      // Informational responses come before the response.
      if (status >= 200) outcome = outcomeOf(status, headers, now)
      return true
    },
    onData: (chunk: Buffer): boolean => {
      bytes += chunk.length
      if (bytes > MAX_RESPONSE_BYTES) abort?.()
      return true
    },
    onComplete: (): void => finish(outcome ?? connectionFailure(undefined)),
    onError: (error: Error): void => finish(outcome ?? connectionFailure(error))
  }

  function finish(result: PushOutcome): void {
    if (ended) return
    ended = true
    onEnd(result)
  }
}

function outcomeOf(status: number, headers: readonly Buffer[], now: () => number): PushOutcome {
  if (status >= 200 && status < 300) return DELIVERED.get(status) ?? delivered(status)
  const answer = String(status)
  if (status === 410) return { kind: 'gone', answer }
  const isRedirect = status >= 300 && status < 400
  return {
    kind: 'failed',
    answer,
    reason: isRedirect ? `status ${status}, and redirects are not followed` : `status ${status}`,
    cause: causeOf(status),
    retryAfterMs: parseRetryAfter(headerOf(headers, 'retry-after'), now())
  }
}

function causeOf(status: number): PushFailure['cause'] {
  if (EVENT_REFUSED.has(status)) return 'event'
  return OVERLOADED.has(status) ? 'overload' : 'other'
}

/** @param headers names and values in turn */
function headerOf(headers: readonly Buffer[], wanted: string): string | undefined {
  const index = headers.findIndex(
    (name, index) => index % 2 === 0 && name.toString('latin1').toLowerCase() === wanted
  )
  return index === -1 ? undefined : headers[index + 1]?.toString('latin1')
}

/** The message of the error could contain an address. */
function connectionFailure(error: unknown): PushOutcome {
  const code = failureCode(error)
  return code !== undefined && /^[A-Z0-9_]{1,64}$/.test(code)
    ? { kind: 'failed', answer: code, reason: `connection: ${code}`, cause: 'connection' }
    : { kind: 'failed', answer: 'connection failed', reason: 'connection failed', cause: 'connection' }
}

function delivered(status: number): PushOutcome {
  return { kind: 'delivered', answer: String(status) }
}
