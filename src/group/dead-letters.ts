import { groupKeys } from '../log/keys.ts'
import { formatPosition, type LogPosition, parsePosition } from '../log/position.ts'
import type { RedisClient } from '../redis/connect.ts'
import { flatToMap } from '../redis/reply.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { textMask } from '../sanitize/mask-text.ts'
import { allTextKinds } from '../sanitize/text-kinds.ts'
import { formatPastAttempt, type PastAttempt, parsePastAttempts } from './past-attempt.ts'

/**
 * Why an entry became a dead letter. `failed`: every attempt failed. `malformed`: it is not an event of this service.
 * `interrupted`: attempts began, and none finished before its process ended.
 */
export type DeadLetterReason = 'failed' | 'malformed' | 'interrupted'

export interface DeadLetter {
  /** Its id in the stream of dead letters. It starts with the time it was added, unix milliseconds. */
  readonly letter: string
  /** A `DeadLetterReason`, or one of another version. */
  readonly reason: string
  /** Name and message of the error, without personal data. */
  readonly error: string
  readonly attempts: number
  /** The last five attempts, oldest first, as far as they are known. */
  readonly lastAttempts: readonly PastAttempt[]
  readonly type: string
  /** The CloudEvent as JSON text; '' if the entry had none. */
  readonly event: string
  readonly position: LogPosition
}

/** An entry of the log that becomes a dead letter. */
export interface DeadEntry {
  readonly position: LogPosition
  readonly type: string
  readonly event: string
  /** All fields and values in turn; kept if the entry is malformed. */
  readonly fields?: readonly string[]
}

interface Failure {
  readonly reason: DeadLetterReason
  readonly error: unknown
  readonly attempts: number
  /** Oldest first. The last five are kept. */
  readonly lastAttempts?: readonly PastAttempt[]
}

/** The dead letters of consumers, in `cio:dead:<consumer>`. Every method throws the error of Redis. */
export interface DeadLetters {
  /**
   * Adds a dead letter. Acknowledge the entry afterwards: a crash in between adds it twice, but never loses it. Two
   * dead letters with the same `position` are the same entry. After an error the outcome is unknown.
   */
  add(consumer: string, entry: DeadEntry, failure: Failure): Promise<void>
  count(consumer: string): Promise<number>
  /** @returns the id of the newest one; `undefined` without any */
  newest(consumer: string): Promise<string | undefined>
  /** Oldest first, those after the dead letter `after`. */
  list(consumer: string, count: number, after?: string): Promise<readonly DeadLetter[]>
  get(consumer: string, letter: string): Promise<DeadLetter | undefined>
  /** @returns how many of them existed */
  drop(consumer: string, letters: readonly string[]): Promise<number>
  /** Drops all dead letters of a consumer. */
  clear(consumer: string): Promise<void>
}

/** Attempts that a dead letter keeps. */
export const LAST_ATTEMPTS = 5

const MAX_ERROR_LENGTH = 500
/** Masking sees more than is kept, so that no personal value is cut in two and missed. */
const MAX_MASKED_LENGTH = 4 * MAX_ERROR_LENGTH

const addScript = loadScript(new URL('dead-letter.lua', import.meta.url))

const mask = textMask(allTextKinds)

export function deadLetters(redis: RedisClient, keyPrefix: string): DeadLetters {
  const keyOf = (consumer: string): string => groupKeys(keyPrefix, consumer).dead
  return {
    add: async (
      consumer,
      { position, type, event, fields },
      { reason, error, attempts, lastAttempts = [] }
    ) => {
      const { partition, id } = parsePosition(position)
      const letter = {
        partition: String(partition),
        id,
        type,
        event,
        reason,
        error: describe(error),
        attempts: String(attempts),
        lastAttempts: lastAttempts.slice(-LAST_ATTEMPTS).map(formatPastAttempt).join('\n'),
        time: new Date().toISOString(),
        ...(reason === 'malformed' ? { fields: JSON.stringify(fields) } : {})
      }
      await runScript(redis, addScript, [keyOf(consumer)], Object.entries(letter).flat())
    },
    count: consumer => redis.xlen(keyOf(consumer)),
    newest: async consumer => (await redis.xrevrange(keyOf(consumer), '+', '-', 'COUNT', 1))[0]?.[0],
    list: async (consumer, count, after) => {
      const from = after === undefined ? '-' : `(${after}`
      const entries = await redis.xrange(keyOf(consumer), from, '+', 'COUNT', count)
      return entries.map(([letter, flat]) => toDeadLetter(letter, flat))
    },
    get: async (consumer, letter) => {
      const [entry] = await redis.xrange(keyOf(consumer), letter, letter)
      return entry && toDeadLetter(...entry)
    },
    drop: (consumer, letters) =>
      letters.length === 0 ? Promise.resolve(0) : redis.xdel(keyOf(consumer), ...letters),
    clear: async consumer => {
      await redis.del(keyOf(consumer))
    }
  }
}

function toDeadLetter(letter: string, flat: readonly string[]): DeadLetter {
  const fields = flatToMap(flat)
  const text = (name: string): string => fields.get(name) ?? ''
  return {
    letter,
    reason: text('reason'),
    error: text('error'),
    attempts: Number(text('attempts')),
    lastAttempts: parsePastAttempts(text('lastAttempts').split('\n')),
    type: text('type'),
    event: text('event'),
    position: formatPosition(Number(text('partition')), text('id'))
  }
}

/** An error's name and message in one line, with personal data masked by its form. */
function describe(error: unknown): string {
  const text =
    error instanceof Error ? [error.name, error.message].filter(Boolean).join(': ') : `${typeof error} thrown`
  return mask(text.slice(0, MAX_MASKED_LENGTH)).replace(/\s+/g, ' ').slice(0, MAX_ERROR_LENGTH)
}
