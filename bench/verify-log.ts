import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import type { Contestant } from './contestants.ts'

/** The ids one run of the load generator used: `01J<run><index>`, indexes from 0. */
export interface SentRun {
  readonly run: string
  readonly unique: number
}

interface LoggedEvent {
  readonly text: string
  readonly payload: EmailEvent
}

interface EmailEvent {
  readonly event_id: string
  readonly data: { readonly identifiers: Readonly<Record<string, string>> }
}

const BATCH = 2000
/** In the bodies that the load generator sends: an address in mixed case, and a card number in free text. */
const CANARY = /canary|4111 1111/i
/** Also addresses in fields other than `email`, which only the policy `customerio` removes. */
const ANY_ADDRESS = /@example\.(com|org)/i

/**
 * Checks that the log holds exactly the events that were sent, each once, with personal data hashed.
 *
 * @throws an error that names the first difference
 */
export async function verifyLog(
  contestant: Contestant,
  redis: Redis,
  runs: readonly SentRun[]
): Promise<void> {
  if (contestant.log === 'nothing') return
  const seen = new Map(runs.map(({ run, unique }) => [run, new Uint8Array(unique)]))
  let count = 0
  for await (const { text, payload } of readLog(contestant.log, redis)) {
    count++
    const [run, index] = [payload.event_id.slice(3, 5), Number(payload.event_id.slice(5))]
    const marks = seen.get(run)
    if (marks === undefined || marks[index] === undefined) fail(`an unknown id ${payload.event_id}`)
    else if (marks[index] !== 0) fail(`${payload.event_id} twice`)
    else marks[index] = 1
    if (CANARY.test(text)) fail(`personal data in ${payload.event_id}: ${CANARY}`)
    if (contestant.policy === 'customerio' && ANY_ADDRESS.test(text))
      fail(`an address in ${payload.event_id}`)
    const address = `canary.${String(index).padStart(8, '0')}@example.com`
    if (payload.data.identifiers['email_hash'] !== sha256(address))
      fail(`a wrong hash in ${payload.event_id}`)
  }
  const expected = runs.reduce((sum, { unique }) => sum + unique, 0)
  if (count !== expected) fail(`${count} events, but ${expected} ids were sent`)

  function fail(what: string): never {
    throw new Error(`${contestant.name}: its log holds ${what}`)
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

async function* readLog(log: 'service' | 'stream' | 'bullmq', redis: Redis): AsyncGenerator<LoggedEvent> {
  if (log === 'bullmq') return yield* readJobs(redis)
  const stream = log === 'service' ? 'cio:events:{0}' : 'events'
  let from = '-'
  for (;;) {
    const entries = await redis.xrange(stream, from, '+', 'COUNT', BATCH)
    for (const [, [, , , text = '']] of entries) {
      const event = JSON.parse(text)
      yield { text, payload: log === 'service' ? event.data : event }
    }
    const last = entries.at(-1)
    if (last === undefined) return
    from = `(${last[0]}`
  }
}

async function* readJobs(redis: Redis): AsyncGenerator<LoggedEvent> {
  const waiting = 'bull:webhooks:wait'
  const length = await redis.llen(waiting)
  for (let start = 0; start < length; start += BATCH) {
    const ids = await redis.lrange(waiting, start, start + BATCH - 1)
    const texts = await Promise.all(ids.map(id => redis.hget(`bull:webhooks:${id}`, 'data')))
    for (const text of texts) yield { text: text ?? '', payload: JSON.parse(text ?? '') }
  }
}
