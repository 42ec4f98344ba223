import { type DeadLetter, deadLetters, revive } from '../group/dead-letters.ts'
import type { OutgoingEvent } from '../group/outgoing-event.ts'
import { redeliver } from '../group/redeliver.ts'
import { partitionKeys } from '../log/keys.ts'
import { readPartitionCount } from '../log/partition-count.ts'
import { readEntries, type StreamEntry } from '../log/read-range.ts'
import type { RedisClient } from '../redis/connect.ts'

export interface ReplayOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumer: string
  /**
   * Hands an event on that is no longer in the log; `undefined` where that can't be done from here.
   *
   * @throws Error that says why not
   */
  readonly handOn: ((event: OutgoingEvent) => Promise<void>) | undefined
}

export interface ReplayedLetters {
  readonly replayed: number
  readonly left: readonly { readonly letter: string; readonly why: string }[]
}

/**
 * Offers dead letters to their consumer once more, and drops those that were.
 *
 * What is still in the log goes back to where the consumer had it from, so that its order and its attempts are
 * those of any other event. What was trimmed meanwhile is handed on from the letter, where that is possible.
 */
export async function replayLetters(
  options: ReplayOptions,
  letters: readonly DeadLetter[]
): Promise<ReplayedLetters> {
  const { redis, keyPrefix, consumer } = options
  const done: string[] = []
  const left: { letter: string; why: string }[] = []
  try {
    for (const letter of letters) {
      const why = await replayLetter(options, letter)
      if (why === undefined) done.push(letter.letter)
      else left.push({ letter: letter.letter, why })
    }
  } finally {
    // What was replayed before something went wrong must not be replayed again.
    await deadLetters(redis, keyPrefix).drop(consumer, done)
  }
  return { replayed: done.length, left }
}

/** @returns why not; `undefined` when it was */
async function replayLetter(options: ReplayOptions, letter: DeadLetter): Promise<string | undefined> {
  const { redis, keyPrefix, consumer, handOn } = options
  const event = revive(letter)
  if (event === undefined) return 'it never was an event'
  const { partition, id } = placeOf(letter.position)
  if ((await redeliver(redis, keyPrefix, consumer, partition, [id])).length > 0) return undefined
  // It was not acknowledged yet, and comes again by itself.
  if (await isInLog(redis, keyPrefix, partition, id)) return undefined
  if (handOn === undefined) return 'it is no longer in the log, and this consumer reads nothing else'
  try {
    await handOn(event)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : 'it could not be handed on'
  }
}

async function isInLog(
  redis: RedisClient,
  keyPrefix: string,
  partition: number,
  id: string
): Promise<boolean> {
  return (await redis.xrange(partitionKeys(keyPrefix, partition).events, id, id)).length > 0
}

/**
 * Lets one consumer have a stretch of the log again. What it has still to get anyway is not counted.
 *
 * @param from,to ids or their milliseconds, both included
 * @returns how many entries were put back
 */
export async function replayRange(
  options: Omit<ReplayOptions, 'handOn'>,
  range: { readonly from: string; readonly to: string },
  isMeant: (entry: StreamEntry) => boolean
): Promise<number> {
  const { redis, keyPrefix, consumer } = options
  const partitions = await readPartitionCount(redis, keyPrefix)
  let count = 0
  for (let partition = 0; partition < partitions; partition++) {
    for await (const page of readEntries(redis, keyPrefix, { stream: 'events', partition, ...range })) {
      const ids = page.filter(isMeant).map(({ id }) => id)
      count += (await redeliver(redis, keyPrefix, consumer, partition, ids)).length
    }
  }
  return count
}

/** @param position `<partition>-<entry id>` */
export function placeOf(position: string): { readonly partition: number; readonly id: string } {
  const at = position.indexOf('-')
  return { partition: Number(position.slice(0, at)), id: position.slice(at + 1) }
}
