// Tested by test/cli/consumers/dead-letters.slow.test.ts.
import { compileTypeGlobs, eventName } from '../event-types.ts'
import { type DeadLetter, deadLetters } from '../group/dead-letters.ts'
import { type OutgoingEvent, toOutgoingEvent } from '../group/outgoing-event.ts'
import { redeliver } from '../group/redeliver.ts'
import { partitionKeys } from '../log/keys.ts'
import { readPartitionCount } from '../log/partition.ts'
import { parsePosition } from '../log/position.ts'
import { readEntries, type StreamEntry } from '../log/read-range.ts'
import type { RedisClient } from '../redis/connect.ts'

interface ReplayOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumer: string
  /** The globs of a push consumer; `undefined`: all types, or not known. Events of other types are not delivered. */
  readonly types?: readonly string[] | undefined
  /**
   * Sends an event that is no longer in the log to the consumer; `undefined` for a consumer that only reads the log.
   *
   * @throws Error that says why not
   */
  readonly publish: ((event: OutgoingEvent) => Promise<void>) | undefined
}

export interface ReplayedLetters {
  readonly replayed: number
  /** Those that were not replayed, and why not. */
  readonly left: readonly { readonly id: string; readonly why: string }[]
  /** How many of them the consumer does not want: its `types` have changed since. */
  readonly notWanted: number
}

/**
 * Delivers dead letters to their consumer again, and deletes those that were accepted.
 *
 * An event that is still in the log is delivered again from there, so that its order and its attempts are those of any
 * other event. An event that was trimmed meanwhile is sent from the dead letter, if the consumer is a push consumer.
 */
export async function replayLetters(
  options: ReplayOptions,
  letters: readonly DeadLetter[]
): Promise<ReplayedLetters> {
  const { redis, keyPrefix, consumer } = options
  const isWanted = compileTypeGlobs(options.types)
  const done: string[] = []
  const left: { id: string; why: string }[] = []
  let notWanted = 0
  try {
    for (const letter of letters) {
      const wanted = isWanted(letter.type)
      if (!wanted) notWanted++
      const why = wanted
        ? await replayLetter(options, letter)
        : `${consumer} does not want its type ${eventName(letter.type)} (types in CONSUMERS_FILE)`
      if (why === undefined) done.push(letter.letter)
      else left.push({ id: letter.letter, why })
    }
  } finally {
    // Also after an error: dead letters that were replayed before it must not be replayed again.
    await deadLetters(redis, keyPrefix).drop(consumer, done)
  }
  return { replayed: done.length, left, notWanted }
}

/** @returns why it was not replayed; `undefined` if it was */
async function replayLetter(options: ReplayOptions, letter: DeadLetter): Promise<string | undefined> {
  const { redis, keyPrefix, consumer, publish } = options
  const event = toOutgoingEvent(letter)
  if (event === undefined) return 'it is not an event'
  const { partition, id } = parsePosition(letter.position)
  if ((await redeliver(redis, keyPrefix, consumer, partition, [id])).length > 0) return undefined
  // The consumer has not acknowledged it yet, and gets it again anyway.
  if (await isInLog(redis, keyPrefix, partition, id)) return undefined
  if (publish === undefined) return 'it is no longer in the log, and this consumer only reads the log'
  try {
    await publish(event)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : 'it could not be sent to the consumer'
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

export interface ReplayedRange {
  /** Entries that will be delivered again. */
  readonly replayed: number
  /** Entries that the consumer has not acknowledged yet, or that were trimmed meanwhile. */
  readonly skipped: number
  /** Entries of other types than the consumer wants. */
  readonly notWanted: number
}

/**
 * Delivers a range of the log to one consumer again.
 *
 * @param range ids or their milliseconds, both included
 */
export async function replayRange(
  options: Omit<ReplayOptions, 'publish'>,
  range: { readonly from: string; readonly to: string },
  matches: (entry: StreamEntry) => boolean
): Promise<ReplayedRange> {
  const { redis, keyPrefix, consumer } = options
  const isWanted = compileTypeGlobs(options.types)
  const partitions = await readPartitionCount(redis, keyPrefix)
  const count = { replayed: 0, skipped: 0, notWanted: 0 }
  for (let partition = 0; partition < partitions; partition++) {
    for await (const page of readEntries(redis, keyPrefix, { stream: 'events', partition, ...range })) {
      const chosen = page.filter(matches)
      const wanted = chosen.filter(({ type }) => isWanted(type))
      const ids = wanted.map(({ id }) => id)
      const { length } = await redeliver(redis, keyPrefix, consumer, partition, ids)
      count.replayed += length
      count.skipped += wanted.length - length
      count.notWanted += chosen.length - wanted.length
    }
  }
  return count
}
