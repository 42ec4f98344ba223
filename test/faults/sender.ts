import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../helpers/random.ts'
import { signV0, WEBHOOK_PATH } from '../helpers/sign.ts'
import { count, type Ledger, newEvent, type SentEvent } from './ledger.ts'

/** Sends like Customer.io: one event after the other, retried until it is acknowledged. */
export interface Sender {
  /** Resolves when the last event is acknowledged. */
  readonly finished: Promise<void>
  /** Sends no new event; resolves when the current one is acknowledged. */
  stop(): Promise<void>
  /** Stops without waiting for the current event. */
  abandon(): void
}

interface SenderOptions {
  readonly name: string
  /** Called for each delivery. */
  readonly port: () => number
  readonly ledger: Ledger
  readonly random: Random
  /** Mean pause between two events. */
  readonly gapMs: number
  /** Number of events. Default: no limit. */
  readonly events?: number
  /** Share of acknowledged events that are delivered again, 0 to 1. */
  readonly replayShare?: number
  /** Only the last acknowledged events are delivered again. */
  readonly replayDepth?: number
  /** Text that makes each event larger. */
  readonly padding?: () => string
}

/** Timeout of Customer.io (documented, read 2026-11-24). */
const TIMEOUT_MS = 4000
/** Customer.io waits for minutes and hours; a test cannot. */
const FIRST_BACKOFF_MS = 20
const LONGEST_BACKOFF_MS = 400
/** The first characters of a refusal's body show whether the service or the balancer answered. */
const SHOWN_BODY = 120

interface Answer {
  /** The HTTP status, or why there is none. */
  readonly status: number | 'timeout' | 'refused' | 'reset'
  readonly body: string
}

export function startSender(options: SenderOptions): Sender {
  const { name, port, ledger, random, gapMs, events = Number.POSITIVE_INFINITY } = options
  const { replayShare = 0.02, replayDepth = 40 } = options
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const recent: SentEvent[] = []
  let sequence = 0
  let stopped = false
  let abandoned = false
  const finished = run()

  return {
    finished,
    stop: async () => {
      stopped = true
      await finished
    },
    abandon: () => {
      stopped = true
      abandoned = true
    }
  }

  async function run(): Promise<void> {
    while (!stopped && sequence < events) {
      await deliverNext()
      if (recent.length > 0 && random.chance(replayShare)) await replay(random.pick(recent))
      if (gapMs > 0) await sleep(random.between(0, 2 * gapMs))
    }
    agent.destroy()
  }

  async function deliverNext(): Promise<void> {
    const event = newEvent(name, sequence++, random, options.padding?.())
    ledger.events.set(event.id, event)
    await untilAcknowledged(event)
    recent.push(event)
    if (recent.length > replayDepth) recent.shift()
  }

  async function replay(event: SentEvent): Promise<void> {
    event.replayed = true
    ledger.replays++
    await untilAcknowledged(event)
  }

  async function untilAcknowledged(event: SentEvent): Promise<void> {
    let backoffMs = FIRST_BACKOFF_MS
    for (let attempt = 1; !abandoned; attempt++) {
      event.attempts++
      ledger.deliveries++
      if (attempt > 1) ledger.retried++
      const startedMs = performance.now()
      const answer = await deliver(event.body())
      const nowMs = performance.now()
      count(ledger.answers, String(answer.status))
      if (typeof answer.status === 'number') {
        ledger.slowestAnswerMs = Math.max(ledger.slowestAnswerMs, nowMs - startedMs)
        if (answer.status >= 200 && answer.status < 300) return acknowledge(event, answer, attempt, startedMs)
      }
      count(ledger.refusals, `${answer.status} ${answer.body.slice(0, SHOWN_BODY)}`.trimEnd())
      await sleep(backoffMs)
      backoffMs = Math.min(backoffMs * 2, LONGEST_BACKOFF_MS)
    }
  }

  function acknowledge(event: SentEvent, answer: Answer, attempt: number, startedMs: number): void {
    const nowMs = performance.now()
    if (attempt > 1 && answer.body.includes('"duplicate"')) ledger.duplicates++
    ledger.longestOutageMs = Math.max(ledger.longestOutageMs, nowMs - ledger.lastAcknowledgedMs)
    ledger.lastAcknowledgedMs = nowMs
    if (event.acknowledgedAtMs !== undefined) return
    event.acknowledgedAtMs = nowMs
    event.deliveredAtMs = startedMs
    ledger.acknowledged++
  }

  function deliver(body: string): Promise<Answer> {
    return new Promise(resolve => {
      const delivery = request(
        {
          agent,
          host: '127.0.0.1',
          port: port(),
          path: WEBHOOK_PATH,
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            ...signV0(body)
          }
        },
        response => void read(response).then(done, () => done({ status: 'reset', body: '' }))
      )
      const timer = setTimeout(() => {
        done({ status: 'timeout', body: '' })
        delivery.destroy()
      }, TIMEOUT_MS)
      delivery.once('error', (error: NodeJS.ErrnoException) =>
        done({ status: error.code === 'ECONNREFUSED' ? 'refused' : 'reset', body: '' })
      )
      delivery.end(body)
      function done(answer: Answer): void {
        clearTimeout(timer)
        resolve(answer)
      }
    })
  }
}

async function read(response: IncomingMessage): Promise<Answer> {
  let body = ''
  for await (const chunk of response) body += chunk
  return { status: response.statusCode ?? 0, body }
}
