import { hash } from 'node:crypto'
import type { PastAttempt } from '../group/past-attempt.ts'
import { pagesOf } from '../log/read-range.ts'
import { type AttemptOutcome, attemptOutcomes } from '../ops/outcomes.ts'
import type { RedisClient } from '../redis/connect.ts'
import { flatToMap } from '../redis/reply.ts'

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
   * All attempts of an event that are still in the log of attempts, newest first. Reads the whole log, in pages.
   *
   * @param eventId id of the CloudEvent. Events of different sources with the same id are not told apart
   */
  ofEvent(consumer: string, eventId: string): Promise<readonly Attempt[]>
  remove(consumer: string): Promise<void>
}

/** Entries per call: about a millisecond in Redis. */
const PAGE_ENTRIES = 1000
/** Longer ids are stored as a digest, so that an entry takes less than 200 bytes in Redis. */
const SHORT_ID = /^[\x21-\x7e]{1,64}$/

export const attemptsKey = (keyPrefix: string, consumer: string): string => `${keyPrefix}attempts:${consumer}`

/**
 * An event id as the log of attempts has it: up to 64 printable ASCII characters as they are, any other as its SHA-256
 * in hex. A digest stays as it is, also that of `toOutgoingEvent`, so both forms of an id are found.
 */
export const attemptEventId = (id: string): string => (SHORT_ID.test(id) ? id : hash('sha256', id))

export function attemptHistory(redis: RedisClient, keyPrefix: string): AttemptHistory {
  return {
    newest: async (consumer, count) => {
      const entries = await redis.xrevrange(attemptsKey(keyPrefix, consumer), '+', '-', 'COUNT', count)
      return entries.map(([, fields]) => toAttempt(consumer, fields))
    },
    ofEvent: async (consumer, eventId) => {
      const wanted = attemptEventId(eventId)
      const key = attemptsKey(keyPrefix, consumer)
      const found: Attempt[] = []
      // Oldest first: XREVRANGE from before the first entry would look at every entry once more.
      for await (const page of pagesOf('-', from => redis.xrange(key, from, '+', 'COUNT', PAGE_ENTRIES))) {
        const attempts = page.map(([, fields]) => toAttempt(consumer, fields))
        found.push(...attempts.filter(attempt => attempt.eventId === wanted))
      }
      return found.reverse()
    },
    remove: async consumer => {
      await redis.del(attemptsKey(keyPrefix, consumer))
    }
  }
}

function toAttempt(consumer: string, flat: readonly string[]): Attempt {
  const fields = flatToMap(flat)
  const outcome = attemptOutcomes.find(outcome => outcome === fields.get('outcome')) ?? 'failed'
  return {
    consumer,
    eventId: fields.get('event') ?? '',
    attempt: Number(fields.get('attempt')),
    atMs: Number(fields.get('time')),
    outcome,
    answer: fields.get('answer') ?? '',
    durationMs: Number(fields.get('ms'))
  }
}
