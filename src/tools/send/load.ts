import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { createHistogram } from 'node:perf_hooks'
import { type Backoff, backoffMs, pause } from '../../async/backoff.ts'
import { parseRetryAfter } from '../../retry-after.ts'
import type { Secret } from '../../secret.ts'
import type { Scheme } from '../../settings/sources.ts'
import { isObject } from './assignments.ts'
import { type Answer, type NoAnswer, sendRawRequest } from './raw-request.ts'
import { signatureHeaders } from './sign.ts'

export interface BatchOptions {
  readonly url: URL
  readonly key: Secret
  readonly scheme: Scheme
  /** Deliveries in all, duplicates included. */
  readonly count: number
  /** Maximum of deliveries in flight. */
  readonly concurrency: number
  /** Deliveries per second; `undefined`: as fast as the concurrency allows. */
  readonly ratePerSecond: number | undefined
  /** The share of deliveries that repeat an earlier event, from 0 to less than 1. */
  readonly duplicateShare: number
  /** Repeat a delivery after a 503 or no answer, and block later ones meanwhile, as Customer.io does. */
  readonly retry: boolean
  /** The body of the n-th event. */
  readonly body: (index: number) => Buffer
  /** Unix milliseconds. */
  readonly now: () => number
  readonly onProgress: (done: number) => void
  /** After an abort no new delivery is sent. */
  readonly signal: AbortSignal
}

export interface BatchSummary {
  /** Deliveries that were sent, without retries. */
  readonly deliveries: number
  readonly retries: number
  /** Deliveries by status, or by error code of the connection. */
  readonly statuses: Readonly<Record<string, number>>
  /** Deliveries by outcome in the answer: accepted, duplicate, parked. */
  readonly outcomes: Readonly<Record<string, number>>
  /** The receiver's clock minus this one, from the `date` of its first answer; `undefined` without it. */
  readonly clockOffsetSeconds: number | undefined
  readonly durationMs: number
  /** Time to the answer; `undefined` if nothing answered. */
  readonly latencyMs: Readonly<Record<'p50' | 'p90' | 'p99' | 'p999' | 'max', number>> | undefined
}

const HEADERS = [
  ['user-agent', 'cio-webhook-send'],
  ['content-type', 'application/json']
] as const
/** The timeout of Customer.io (its documentation, read 2026-11-24). */
const TIMEOUT_MS = 4000
const BACKOFF: Backoff = { firstMs: 1000, maxMs: 60_000 }
const MAX_ATTEMPTS = 12
/** Duplicates repeat one of the last events, this many. */
const REMEMBERED_EVENTS = 1000
/** A closed set, so that answers cannot fill the summary. */
const OUTCOMES = new Set(['accepted', 'duplicate', 'parked'])

type Reply = Answer | NoAnswer

/** Sends `count` deliveries. Never rejects. */
export async function sendBatch(options: BatchOptions): Promise<BatchSummary> {
  const { url, count, concurrency, ratePerSecond, now, signal } = options
  const agentOptions = { keepAlive: true, maxSockets: concurrency }
  const agent = url.protocol === 'https:' ? new TlsAgent(agentOptions) : new Agent(agentOptions)
  const latency = createHistogram()
  const statuses: Record<string, number> = {}
  const outcomes: Record<string, number> = {}
  const bodies = bodySequence(options)
  const startedMs = performance.now()
  let next = 0
  let done = 0
  let retries = 0
  let heldUntilMs = 0
  let clockOffsetSeconds: number | undefined

  async function sender(): Promise<void> {
    while (next < count && !signal.aborted) {
      const index = next++
      const dueMs = ratePerSecond === undefined ? 0 : startedMs + (index * 1000) / ratePerSecond
      await waitUntil(() => Math.max(dueMs, heldUntilMs), signal)
      if (signal.aborted) return
      const reply = await deliver(bodies(index))
      increment(statuses, reply.kind === 'answer' ? String(reply.status) : reply.code)
      const outcome = outcomeOf(reply)
      if (outcome !== undefined) increment(outcomes, outcome)
      options.onProgress(++done)
    }
  }

  async function deliver(body: Buffer): Promise<Reply> {
    for (let attempt = 1; ; attempt++) {
      const reply = await post(body)
      if (!options.retry || !isRetryable(reply) || attempt === MAX_ATTEMPTS || signal.aborted) return reply
      retries++
      const retryAfterMs = parseRetryAfter(headerOf(reply, 'retry-after'), now())
      const waitMs = backoffMs(BACKOFF, attempt, { retryAfterMs })
      heldUntilMs = Math.max(heldUntilMs, performance.now() + waitMs)
      await waitUntil(() => heldUntilMs, signal)
    }
  }

  async function post(body: Buffer): Promise<Reply> {
    const timestamp = Math.floor(now() / 1000)
    const headers = [...HEADERS, ...signatureHeaders(options.scheme, options.key.reveal(), body, timestamp)]
    const content = { method: 'POST', headers, body, declaredBytes: body.length }
    const reply = await sendRawRequest({ url, ...content, timeoutMs: TIMEOUT_MS, agent })
    if (reply.kind === 'answer') {
      latency.record(Math.max(1, Math.round(reply.durationMs * 1000)))
      clockOffsetSeconds ??= clockOffset(reply, now() / 1000)
    }
    return reply
  }

  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, count) }, sender))
  } finally {
    agent.destroy()
  }
  const at = (percent: number): number => latency.percentile(percent) / 1000
  return {
    deliveries: done,
    retries,
    statuses,
    outcomes,
    clockOffsetSeconds,
    durationMs: performance.now() - startedMs,
    latencyMs:
      latency.count === 0
        ? undefined
        : { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: latency.max / 1000 }
  }
}

/** The body of each delivery in turn: a new event, or evenly distributed among them a repeated one. */
function bodySequence({ body, duplicateShare }: BatchOptions): (index: number) => Buffer {
  const recent: Buffer[] = []
  let fresh = 0
  return index => {
    const duplicatesSoFar = index - fresh
    const isDuplicate = recent.length > 0 && Math.floor((index + 1) * duplicateShare) > duplicatesSoFar
    const earlier = isDuplicate ? recent[Math.floor(Math.random() * recent.length)] : undefined
    if (earlier !== undefined) return earlier
    const event = body(fresh)
    recent[fresh++ % REMEMBERED_EVENTS] = event
    return event
  }
}

/** Failures that Customer.io retries within seconds. After others it waits an hour, so they are only counted. */
const isRetryable = (reply: Reply): boolean => reply.kind === 'none' || reply.status === 503

const headerOf = (reply: Reply, wanted: string): string | undefined =>
  reply.kind === 'answer' ? reply.headers.find(([name]) => name === wanted)?.[1] : undefined

function clockOffset(reply: Reply, nowSeconds: number): number | undefined {
  const seconds = Date.parse(headerOf(reply, 'date') ?? '') / 1000
  return Number.isNaN(seconds) ? undefined : Math.round(seconds - nowSeconds)
}

function outcomeOf(reply: Reply): string | undefined {
  if (reply.kind === 'none' || reply.status !== 200) return undefined
  try {
    const answer: unknown = JSON.parse(reply.body)
    const status = isObject(answer) ? answer['status'] : undefined
    return typeof status === 'string' && OUTCOMES.has(status) ? status : undefined
  } catch {
    return undefined
  }
}

function increment(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

/** @param timeMs on the clock of `performance.now()`; it may move while this waits */
async function waitUntil(timeMs: () => number, signal: AbortSignal): Promise<void> {
  for (let leftMs = timeMs() - performance.now(); leftMs > 0; leftMs = timeMs() - performance.now()) {
    if (signal.aborted) return
    await pause(leftMs, signal)
  }
}
