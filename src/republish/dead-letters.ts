import type { RedisClient } from '../redis/connect.ts'
import { outgoingEvent } from './outgoing.ts'
import type { OutgoingEvent } from './sink.ts'

/** Why an event was given up. The reason is ours: no text of anybody's answer. */
export interface DeadReason {
  readonly reason: string
  readonly attempts: number
}

export interface DeadLetter extends DeadReason {
  /** Its id in the stream of dead letters; the number in front is when it was given up, unix milliseconds. */
  readonly entry: string
  readonly type: string
  /** The CloudEvent, or what stood in its place. */
  readonly event: string
  /** Where it stood in the log, `<partition>-<entry id>`. */
  readonly position: string
}

/** The events that a consumer did not take, `cio:dead:<consumer>`: kept until somebody replays or drops them. */
export interface DeadLetters {
  keep(
    consumer: string,
    event: Pick<OutgoingEvent, 'type' | 'event' | 'position'>,
    why: DeadReason
  ): Promise<void>
  count(consumer: string): Promise<number>
  /** Oldest first, from behind `after` on. */
  list(consumer: string, count: number, after?: string): Promise<readonly DeadLetter[]>
  /** @returns how many there were of them */
  drop(consumer: string, entries: readonly string[]): Promise<number>
  forget(consumer: string): Promise<void>
}

export function deadLetters(redis: RedisClient, keyPrefix: string): DeadLetters {
  const keyOf = (consumer: string): string => `${keyPrefix}dead:${consumer}`
  return {
    keep: async (consumer, { type, event, position }, { reason, attempts }) => {
      const [partition = '', ...entry] = position.split('-')
      const fields = { type, event, reason, attempts: String(attempts), partition, entry: entry.join('-') }
      await redis.xadd(keyOf(consumer), '*', ...Object.entries(fields).flat())
    },
    count: consumer => redis.xlen(keyOf(consumer)),
    list: async (consumer, count, after) => {
      const from = after === undefined ? '-' : `(${after}`
      const entries = await redis.xrange(keyOf(consumer), from, '+', 'COUNT', count)
      return entries.map(([entry, flat]) => deadLetter(entry, flat))
    },
    drop: (consumer, entries) =>
      entries.length === 0 ? Promise.resolve(0) : redis.xdel(keyOf(consumer), ...entries),
    forget: async consumer => {
      await redis.del(keyOf(consumer))
    }
  }
}

function deadLetter(entry: string, flat: readonly string[]): DeadLetter {
  const fields = new Map<string | undefined, string>()
  for (let index = 0; index < flat.length; index += 2) fields.set(flat[index], flat[index + 1] ?? '')
  return {
    entry,
    type: fields.get('type') ?? '',
    event: fields.get('event') ?? '',
    reason: fields.get('reason') ?? '',
    attempts: Number(fields.get('attempts') ?? 0),
    position: `${fields.get('partition') ?? ''}-${fields.get('entry') ?? ''}`
  }
}

/** The event of a dead letter, to be offered again; `undefined` when it never was one. */
export const revive = ({ event, position }: DeadLetter): OutgoingEvent | undefined =>
  outgoingEvent(position, event)
