import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Backoff, backoffMs } from '../../async/backoff.ts'
import { parseRetryAfter } from '../../http/retry-after.ts'
import type { Secret } from '../../secret.ts'
import type { Scheme } from '../../settings/sources.ts'
import { type Answer, exchange, type NoAnswer } from './raw-request.ts'
import { signatureHeaders } from './sign.ts'

export interface BatchOptions {
  readonly url: URL
  readonly key: Secret
  readonly scheme: Scheme
  /** Deliveries in all, duplicates included. */
  readonly count: number
  /** Deliveries under way at a time. */
  readonly concurrency: number
  /** `undefined`: as fast as the concurrency allows. */
  readonly ratePerSecond: number | undefined
  /** How many of the deliveries bring an event that was sent before, 0 to below 1. */
  readonly duplicateShare: number
  /** Comes again after a 503 or no answer, and holds back what follows, as Customer.io does. */
  readonly retry: boolean
  /** The body of the n-th event. */
  readonly body: (index: number) => Buffer
  /** Unix milliseconds. */
  readonly now: () => number
  readonly onProgress: (done: number) => void
  /** Once aborted nothing new is sent. */
  readonly signal: AbortSignal
}

export interface BatchSummary {
  /** Deliveries that were sent, retries not counted. */
  readonly deliveries: number
  readonly retries: number
  /** How many ended with which status, or with which failure of the connection. */
  readonly statuses: Readonly<Record<string, number>>
  /** What the answers say became of the events: accepted, duplicate, parked. */
  readonly outcomes: Readonly<Record<string, number>>
  /** The receiver's clock less this one's, by the `date` of its first answer; `undefined` without one. */
  readonly clockOffsetSeconds: number | undefined
  readonly durationMs: number
  /** Time to the answer, in milliseconds; `undefined` where there was none. */
  readonly latencyMs:
    | {
        readonly p50: number
        readonly p90: number
        readonly p99: number
        readonly p999: number
        readonly max: number
      }
    | undefined
}

const USER_AGENT = 'cio-webhook-send'
/** Customer.io's own (its documentation, read 2026-11-24). */
const TIMEOUT_MS = 4000
const BACKOFF: Backoff = { firstMs: 1000, maxMs: 60_000 }
const MAX_ATTEMPTS = 12
/** Events that a duplicate may bring again. */
const REMEMBERED = 1000
/** Closed sets, so that an answer can't fill the summary. */
const OUTCOMES = new Set(['accepted', 'duplicate', 'parked'])

type Reply = Answer | NoAnswer

/** Sends a number of deliveries, and says how they fared. Never rejects. */
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
      count1(statuses, reply.kind === 'answer' ? String(reply.status) : reply.code)
      const outcome = outcomeOf(reply)
      if (outcome !== undefined) count1(outcomes, outcome)
      options.onProgress(++done)
    }
  }

  async function deliver(body: Buffer): Promise<Reply> {
    for (let attempt = 1; ; attempt++) {
      const reply = await post(body)
      if (!options.retry || !isPassing(reply) || attempt === MAX_ATTEMPTS || signal.aborted) return reply
      retries++
      const retryAfterMs = parseRetryAfter(headerOf(reply, 'retry-after'), now())
      const waitMs = backoffMs(BACKOFF, attempt, { retryAfterMs })
      heldUntilMs = Math.max(heldUntilMs, performance.now() + waitMs)
      await waitUntil(() => heldUntilMs, signal)
    }
  }

  async function post(body: Buffer): Promise<Reply> {
    const timestamp = Math.floor(now() / 1000)
    const reply = await exchange({
      url,
      method: 'POST',
      headers: [
        ['user-agent', USER_AGENT],
        ['content-type', 'application/json'],
        ...signatureHeaders(options.scheme, options.key.reveal(), body, timestamp)
      ],
      body,
      declaredBytes: body.length,
      timeoutMs: TIMEOUT_MS,
      agent
    })
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

/** The bodies in their order: a fresh event each, and evenly among them the share that were sent before. */
function bodySequence({ body, duplicateShare }: BatchOptions): (index: number) => Buffer {
  const recent: Buffer[] = []
  let fresh = 0
  return index => {
    const duplicatesSoFar = index - fresh
    const isDuplicate = recent.length > 0 && Math.floor((index + 1) * duplicateShare) > duplicatesSoFar
    const earlier = isDuplicate ? recent[Math.floor(Math.random() * recent.length)] : undefined
    if (earlier !== undefined) return earlier
    const made = body(fresh)
    recent[fresh % REMEMBERED] = made
    fresh++
    return made
  }
}

/** What Customer.io would try again soon. Of other failures it waits an hour: they are counted as they are. */
const isPassing = (reply: Reply): boolean => reply.kind === 'none' || reply.status === 503

const headerOf = (reply: Reply, wanted: string): string | undefined =>
  reply.kind === 'answer' ? reply.headers.find(([name]) => name === wanted)?.[1] : undefined

function clockOffset(reply: Reply, nowSeconds: number): number | undefined {
  const seconds = Date.parse(headerOf(reply, 'date') ?? '') / 1000
  return Number.isNaN(seconds) ? undefined : Math.round(seconds - nowSeconds)
}

function outcomeOf(reply: Reply): string | undefined {
  if (reply.kind === 'none' || reply.status !== 200) return undefined
  try {
    const { status } = JSON.parse(reply.body) as { status?: unknown }
    return typeof status === 'string' && OUTCOMES.has(status) ? status : undefined
  } catch {
    return undefined
  }
}

function count1(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}

async function waitUntil(timeMs: () => number, signal: AbortSignal): Promise<void> {
  for (;;) {
    const leftMs = timeMs() - performance.now()
    if (leftMs <= 0 || signal.aborted) return
    await sleep(leftMs, undefined, { signal }).catch(() => {})
  }
}
