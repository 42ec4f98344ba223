import { createHash, randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { Agent, type Dispatcher, request } from 'undici'
import { withAnySignal } from '../../async/any-signal.ts'
import { errorCode } from '../../errors.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import { parseRetryAfter } from '../../http/retry-after.ts'
import type { HttpSettings } from '../../settings/consumers-file.ts'

/** What became of one request. `reason` is ours: no text of the answer is in it. */
export type PushOutcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'failed'; readonly reason: string; readonly retryAfterMs?: number | undefined }
  /** 410: the receiver asks never to be called again. */
  | { readonly kind: 'gone' }

/** Posts events to one receiver. */
export interface Pusher {
  /** One attempt. Rejects only when `signal` aborts. */
  push(event: OutgoingEvent, signal: AbortSignal): Promise<PushOutcome>
  close(): Promise<void>
}

/** As much of an answer is read, so that its connection can be used again; a longer one costs the connection. */
const MAX_ANSWER_BYTES = 64 * 1024
/** Shorter than the 5 s after which many servers hang up, so that no request meets a connection that is closing. */
const KEEP_ALIVE_MS = 4000

/** The receiver gets its own connections: as many as requests may be under way, closed when idle. */
export function createPusher(settings: HttpSettings, now: () => number): Pusher {
  const { url, secrets, concurrency, timeoutMs } = settings
  const webhooks = secrets.map(secret => new Webhook(secret.reveal()))
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
        const answer = await withAnySignal([signal, timeout], async over => {
          const answer = await request(url, {
            method: 'POST',
            dispatcher: agent,
            signal: over,
            headers: {
              'content-type': 'application/cloudevents+json; charset=utf-8',
              'user-agent': 'cio-webhook',
              'webhook-id': id,
              'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
              'webhook-signature': webhooks.map(webhook => webhook.sign(id, sentAt, event)).join(' '),
              traceparent: traceparent(id)
            },
            body: event
          })
          await discard(answer.body)
          return answer
        })
        return outcomeOf(answer, now())
      } catch (error) {
        if (signal.aborted) throw error
        return { kind: 'failed', reason: timeout.aborted ? 'timeout' : connectionFailure(error) }
      }
    },
    close: () => agent.destroy()
  }
}

/** The status decided; whatever the body does afterwards, such as never ending, is not held against it. */
async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  await body.dump({ limit: MAX_ANSWER_BYTES }).catch(() => {})
}

function outcomeOf({ statusCode, headers }: Dispatcher.ResponseData, nowMs: number): PushOutcome {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered' }
  if (statusCode === 410) return { kind: 'gone' }
  const redirected = statusCode >= 300 && statusCode < 400
  return {
    kind: 'failed',
    reason: redirected ? `status ${statusCode}, and redirects are not followed` : `status ${statusCode}`,
    retryAfterMs: parseRetryAfter(headers['retry-after'], nowMs)
  }
}

function connectionFailure(error: unknown): string {
  const code = errorCode(error)
  return code !== undefined && /^[A-Z0-9_]{1,64}$/.test(code) ? `connection: ${code}` : 'connection failed'
}

/**
 * W3C trace context. One trace an event, whoever gets it and however often; one span an attempt. We record
 * nothing, and say so: the last field is 00.
 */
function traceparent(eventId: string): string {
  const traceId = createHash('sha256').update(eventId).digest('hex').slice(0, 32)
  return `00-${traceId}-${randomBytes(8).toString('hex')}-00`
}
