import { groupKeys } from '../log/keys.ts'
import type { RedisClient } from '../redis/connect.ts'
import { addDeadLetter } from './dead-letter.ts'
import type { OutgoingEvent } from './outgoing-event.ts'
import { outgoingEvent } from './outgoing-event.ts'

export interface DeadLetter {
  /** Its id in the stream of dead letters; the number in front is when it was given up, unix milliseconds. */
  readonly letter: string
  /** `failed`, `malformed`, `unfinished`: see log/dead-letter.ts. */
  readonly reason: string
  /** What was wrong, in our own words. */
  readonly error: string
  readonly attempts: number
  readonly type: string
  /** The CloudEvent; empty where there was none. */
  readonly event: string
  /** Where it stood in the log, `<partition>-<entry id>`. */
  readonly position: string
}

/** The events that a consumer did not take, `cio:dead:<consumer>`: kept until somebody replays or drops them. */
export interface DeadLetters {
  /** @param problem what was wrong; in our own words, since it is shown */
  keep(consumer: string, event: OutgoingEvent, problem: Error, attempts: number): Promise<void>
  count(consumer: string): Promise<number>
  /** Oldest first, from behind the letter `after` on. */
  list(consumer: string, count: number, after?: string): Promise<readonly DeadLetter[]>
  get(consumer: string, letter: string): Promise<DeadLetter | undefined>
  /** @returns how many of them there were */
  drop(consumer: string, letters: readonly string[]): Promise<number>
  forget(consumer: string): Promise<void>
}

export function deadLetters(redis: RedisClient, keyPrefix: string): DeadLetters {
  const keyOf = (consumer: string): string => groupKeys(keyPrefix, consumer).dead
  return {
    keep: (consumer, { type, event, position }, problem, attempts) => {
      const at = position.indexOf('-')
      const entry = {
        partition: Number(position.slice(0, at)),
        id: position.slice(at + 1),
        type,
        event,
        fields: [],
        deliveryCount: 0
      }
      return addDeadLetter(redis, keyOf(consumer), entry, { reason: 'failed', error: problem, attempts })
    },
    count: consumer => redis.xlen(keyOf(consumer)),
    list: async (consumer, count, after) => {
      const from = after === undefined ? '-' : `(${after}`
      const entries = await redis.xrange(keyOf(consumer), from, '+', 'COUNT', count)
      return entries.map(([letter, flat]) => deadLetter(letter, flat))
    },
    get: async (consumer, letter) => {
      const [entry] = await redis.xrange(keyOf(consumer), letter, letter)
      return entry && deadLetter(...entry)
    },
    drop: (consumer, letters) =>
      letters.length === 0 ? Promise.resolve(0) : redis.xdel(keyOf(consumer), ...letters),
    forget: async consumer => {
      await redis.del(keyOf(consumer))
    }
  }
}

function deadLetter(letter: string, flat: readonly string[]): DeadLetter {
  const fields = new Map<string | undefined, string>()
  for (let index = 0; index < flat.length; index += 2) fields.set(flat[index], flat[index + 1] ?? '')
  const text = (name: string): string => fields.get(name) ?? ''
  return {
    letter,
    reason: text('reason'),
    error: text('error'),
    attempts: Number(text('attempts')),
    type: text('type'),
    event: text('event'),
    position: `${text('partition')}-${text('id')}`
  }
}

/** The event of a dead letter, to be offered again; `undefined` where it never was one. */
export const revive = ({ event, position }: DeadLetter): OutgoingEvent | undefined =>
  outgoingEvent(position, event)
