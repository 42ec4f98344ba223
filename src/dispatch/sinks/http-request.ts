// Tested by test/dispatch/sinks/http.slow.test.ts.
import { createHash, randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { Agent, type Dispatcher, request } from 'undici'
import { withAnySignal } from '../../async/abort.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import { parseRetryAfter } from '../../http/retry-after.ts'
import type { HttpSettings } from '../../settings/consumers-file.ts'
import { failureCode } from '../failure.ts'

/**
 * The outcome of one request. `answer` is a status or a code. `reason` is in our own words: it contains no text of the
 * response.
 */
export type PushOutcome =
  | { readonly kind: 'delivered'; readonly answer: string }
  | {
      readonly kind: 'failed'
      readonly answer: string
      readonly reason: string
      readonly retryAfterMs?: number | undefined
    }
  /** 410: the receiver asks not to be called again. */
  | { readonly kind: 'gone'; readonly answer: string }

/** Posts events to one receiver. */
interface Pusher {
  /** One attempt. Rejects only when `signal` aborts. */
  push(event: OutgoingEvent, signal: AbortSignal): Promise<PushOutcome>
  close(): Promise<void>
}

/** A longer response body is not read to its end: its connection is closed instead of reused. */
const MAX_RESPONSE_BYTES = 64 * 1024
/** Shorter than the 5 s after which many servers close idle connections: no request meets a closing one. */
const KEEP_ALIVE_MS = 4000

/** Each receiver gets its own connections, as many as requests may be in flight. */
export function createPusher(settings: HttpSettings, now: () => number): Pusher {
  const { url, secrets, concurrency, timeoutMs } = settings
  const sign = requestSigner(secrets)
  const agent = new Agent({
    connections: concurrency,
    pipelining: 1,
    connect: { timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: 16 * 1024
  })

  return {
    push: async ({ id, event }, signal) => {
      const sentAt = new Date(now())
      const timeout = AbortSignal.timeout(timeoutMs)
      try {
        const response = await withAnySignal([signal, timeout], async any => {
          const response = await request(url, {
            method: 'POST',
            dispatcher: agent,
            signal: any,
            headers: { ...sign(id, event, sentAt), traceparent: traceparent(id) },
            body: event
          })
          // The status decides. Errors of the body, for example that it never ends, do not matter.
          await response.body.dump({ limit: MAX_RESPONSE_BYTES }).catch(() => {})
          return response
        })
        return outcomeOf(response, now())
      } catch (error) {
        if (signal.aborted) throw error
        return timeout.aborted ? failed('timeout', 'timeout') : connectionFailure(error)
      }
    },
    close: () => agent.destroy()
  }
}

/** @returns a function that makes the headers of a request, signed with Standard Webhooks under every secret */
export function requestSigner(secrets: HttpSettings['secrets']) {
  const webhooks = secrets.map(secret => new Webhook(secret.reveal()))
  return (id: string, event: string, sentAt: Date) => ({
    'content-type': 'application/cloudevents+json; charset=utf-8',
    'user-agent': 'cio-webhook',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
    'webhook-signature': webhooks.map(webhook => webhook.sign(id, sentAt, event)).join(' ')
  })
}

function outcomeOf({ statusCode, headers }: Dispatcher.ResponseData, nowMs: number): PushOutcome {
  const answer = String(statusCode)
  if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered', answer }
  if (statusCode === 410) return { kind: 'gone', answer }
  const isRedirect = statusCode >= 300 && statusCode < 400
  return {
    kind: 'failed',
    answer,
    reason: isRedirect ? `status ${statusCode}, and redirects are not followed` : `status ${statusCode}`,
    retryAfterMs: parseRetryAfter(headers['retry-after'], nowMs)
  }
}

/** The message of the error could contain an address. */
function connectionFailure(error: unknown): PushOutcome {
  const code = failureCode(error)
  return code !== undefined && /^[A-Z0-9_]{1,64}$/.test(code)
    ? failed(code, `connection: ${code}`)
    : failed('connection failed', 'connection failed')
}

const failed = (answer: string, reason: string): PushOutcome => ({ kind: 'failed', answer, reason })

/**
 * W3C trace context: one trace per event, one span per attempt. The last field is 00 because the trace is not recorded.
 */
function traceparent(eventId: string): string {
  const traceId = createHash('sha256').update(eventId).digest('hex').slice(0, 32)
  return `00-${traceId}-${randomBytes(8).toString('hex')}-00`
}
