import { hash } from 'node:crypto'
import { formatPastAttempt, type PastAttempt, parsePastAttempts } from '../group/past-attempt.ts'
import { type AttemptOutcome, attemptOutcomes } from '../ops/outcomes.ts'
import type { RedisClient } from '../redis/connect.ts'
import { flatToMap } from '../redis/reply.ts'
import { loadScript, runScript } from '../redis/script.ts'

/** One attempt to deliver an event to a push consumer. It contains nothing of the event but its id. */
export interface Attempt extends PastAttempt {
  readonly consumer: string
  /** As in the CloudEvent, or its SHA-256: see `attemptEventId`. */
  readonly eventId: string
  readonly outcome: AttemptOutcome
}

/** Reads the log of attempts of push consumers, `cio:attempts:<consumer>`. Every method throws the error of Redis. */
export interface AttemptHistory {
  /** Newest first. */
  newest(consumer: string, count: number): Promise<readonly Attempt[]>
  /**
   * All attempts of an event that are still in the log of attempts, newest first. Redis reads the log, in steps of at
   * most 2 ms.
   *
   * @param eventId id of the CloudEvent. Events of different sources with the same id are not told apart
   * @param sinceMs older attempts are not looked at, unix milliseconds of Redis
   */
  ofEvent(consumer: string, eventId: string, sinceMs?: number): Promise<readonly Attempt[]>
  remove(consumer: string): Promise<void>
}

/** How long one call may block Redis: a delivery that arrives meanwhile waits for so long at most. */
const STEP_MICROSECONDS = 2000
/** Longer ids are stored as a digest, so that an attempt takes less than 200 bytes in Redis. */
const SHORT_ID = /^[\x21-\x7e]{1,64}$/

const findScript = loadScript(new URL('find-attempts.lua', import.meta.url))

export const attemptsKey = (keyPrefix: string, consumer: string): string => `${keyPrefix}attempts:${consumer}`

/**
 * An event id as the log of attempts has it: up to 64 printable ASCII characters as they are, any other as its SHA-256
 * in hex. A digest stays as it is, also that of `toOutgoingEvent`, so both forms of an id are found.
 */
const attemptEventId = (id: string): string => (SHORT_ID.test(id) ? id : hash('sha256', id))

/**
 * An attempt as the log of attempts has it: for each event a line break, and
 * `<event id> <outcome> <attempt> <unix ms> <duration in ms> <answer>`.
 */
export function attemptLines(
  eventIds: readonly string[],
  { outcome, attempt, atMs, durationMs, answer }: Omit<Attempt, 'eventId' | 'consumer'>
): readonly string[] {
  const shared = `${outcome} ${formatPastAttempt({ attempt, atMs, durationMs, answer })}`
  return eventIds.map(id => `\n${attemptEventId(id)} ${shared}`)
}

export function attemptHistory(redis: RedisClient, keyPrefix: string): AttemptHistory {
  return {
    newest: async (consumer, count) => {
      const found: Attempt[] = []
      const key = attemptsKey(keyPrefix, consumer)
      // An entry has one attempt, or hundreds.
      for (let [newest, entries] = ['+', 1]; found.length < count; entries *= 2) {
        const page = await redis.xrevrange(key, newest, '-', 'COUNT', entries)
        found.push(...page.flatMap(([, fields]) => toAttempts(consumer, fields)))
        if (page.length < entries) break
        newest = `(${page.at(-1)?.[0]}`
      }
      return found.slice(0, count)
    },
    ofEvent: async (consumer, eventId, sinceMs = 0) => {
      const key = attemptsKey(keyPrefix, consumer)
      const found: Attempt[] = []
      for (let newest = '+'; newest !== ''; ) {
        const args = [newest, Math.max(0, Math.floor(sinceMs)), STEP_MICROSECONDS, attemptEventId(eventId)]
        const reply = await runScript(redis, findScript, [key], args)
        const [next, entries] = reply as [string, string[][]]
        found.push(...entries.flatMap(fields => toAttempts(consumer, fields)))
        newest = next
      }
      return found
    },
    remove: async consumer => {
      await redis.del(attemptsKey(keyPrefix, consumer))
    }
  }
}

/** The attempts of an entry, newest first. Version 0.1 wrote an entry with six fields per attempt. */
function toAttempts(consumer: string, flat: readonly string[]): readonly Attempt[] {
  const fields = flatToMap(flat)
  const lines = fields.get('attempts')
  if (lines !== undefined)
    return lines
      .split('\n')
      .flatMap(line => parseLine(consumer, line))
      .reverse()
  return [
    {
      consumer,
      eventId: fields.get('event') ?? '',
      attempt: Number(fields.get('attempt')),
      atMs: Number(fields.get('time')),
      outcome: toOutcome(fields.get('outcome')),
      answer: fields.get('answer') ?? '',
      durationMs: Number(fields.get('ms'))
    }
  ]
}

function parseLine(consumer: string, line: string): readonly Attempt[] {
  const [, eventId = '', outcome, past = ''] = /^(\S+) (\S+) (.*)$/.exec(line) ?? []
  return parsePastAttempts([past]).map(attempt => ({
    consumer,
    eventId,
    outcome: toOutcome(outcome),
    ...attempt
  }))
}

const toOutcome = (text: string | undefined): AttemptOutcome =>
  attemptOutcomes.find(outcome => outcome === text) ?? 'failed'
