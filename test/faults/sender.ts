import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { signV0 } from '../helpers/sign.ts'
import { count, type Ledger, newEvent, type SentEvent } from './ledger.ts'
import type { Random } from './random.ts'

/** One webhook of Customer.io's: a queue that delivers one event after the other and never skips. */
export interface Sender {
  /** Resolves when its last event is acknowledged. */
  readonly finished: Promise<void>
  /** Sends no further event, and resolves when the one under way is acknowledged. */
  stop(): Promise<void>
  /** Gives up, which Customer.io does after 7 days: the run has failed. */
  abandon(): void
}

export interface SenderOptions {
  readonly name: string
  /** Where to deliver; asked at each delivery. */
  readonly port: () => number
  readonly ledger: Ledger
  readonly random: Random
  /** Mean pause between two events. */
  readonly gapMs: number
  /** How many events it has; endless unless given. */
  readonly events?: number
  /** How many of the acknowledged events are delivered again, as a share of one. */
  readonly replayShare?: number
  /** How many events back a replay may reach. */
  readonly replayDepth?: number
  /** Makes each event larger. */
  readonly padding?: () => string
}

/** What Customer.io waits for an answer (documented, read 2026-11-24). */
const PATIENCE_MS = 4000
/** Customer.io backs off for minutes and hours; what counts here is that it comes back. */
const FIRST_BACKOFF_MS = 20
const LONGEST_BACKOFF_MS = 400

/** `status`: of the answer, or what came instead of one. */
interface Answer {
  readonly status: number | 'silence' | 'refused' | 'broken'
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
          path: '/api/cio/webhook',
          method: 'POST',
          headers: {
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            ...signV0(body)
          }
        },
        response => void read(response).then(done, () => done({ status: 'broken', body: '' }))
      )
      const patience = setTimeout(() => {
        done({ status: 'silence', body: '' })
        delivery.destroy()
      }, PATIENCE_MS)
      delivery.once('error', (error: NodeJS.ErrnoException) =>
        done({ status: error.code === 'ECONNREFUSED' ? 'refused' : 'broken', body: '' })
      )
      delivery.end(body)
      function done(answer: Answer): void {
        clearTimeout(patience)
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
