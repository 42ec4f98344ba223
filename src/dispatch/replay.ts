import { eventName } from '../event-types.ts'
import { isBackfilled } from '../group/cloud-event.ts'
import { type DeadLetter, deadLetters } from '../group/dead-letters.ts'
import { compileEntryFilter, type EntryFilter } from '../group/entry-filter.ts'
import { type OutgoingEvent, toOutgoingEvent } from '../group/outgoing-event.ts'
import { redeliver } from '../group/redeliver.ts'
import { partitionKeys } from '../log/keys.ts'
import { readPartitionCount } from '../log/partition.ts'
import { parsePosition } from '../log/position.ts'
import { readEntries, type StreamEntry } from '../log/read-range.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'

interface ReplayOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumer: string
  /** Of a push consumer; `undefined`: it is not known what the consumer wants. What it does not want is not delivered. */
  readonly settings: Pick<ConsumerSettings, 'types' | 'backfilled'> | undefined
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
  /** How many of them the consumer does not want: its `types` or `backfilled` have changed since. */
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
  const isWanted = wantedBy(options.settings)
  const done: string[] = []
  const left: { id: string; why: string }[] = []
  let notWanted = 0
  try {
    for (const letter of letters) {
      const wanted = isWanted(letter)
      if (!wanted) notWanted++
      const why = wanted ? await replayLetter(options, letter) : whyNotWanted(options, letter)
      if (why === undefined) done.push(letter.letter)
      else left.push({ id: letter.letter, why })
    }
  } finally {
    // Also after an error: dead letters that were replayed before it must not be replayed again.
    await deadLetters(redis, keyPrefix).drop(consumer, done)
  }
  return { replayed: done.length, left, notWanted }
}

/** What a push consumer reads from the log. Of any other, which has its filter in its own process, all. */
const wantedBy = (settings: ReplayOptions['settings']): EntryFilter =>
  settings === undefined ? () => true : compileEntryFilter(settings)

function whyNotWanted({ consumer, settings }: ReplayOptions, { type, event }: DeadLetter): string {
  return settings?.backfilled === false && isBackfilled(event)
    ? `${consumer} does not want events that reconcile appended (backfilled in CONSUMERS_FILE)`
    : `${consumer} does not want its type ${eventName(type)} (types in CONSUMERS_FILE)`
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
  /** Entries that the consumer does not want. */
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
  const isWanted = wantedBy(options.settings)
  const partitions = await readPartitionCount(redis, keyPrefix)
  const count = { replayed: 0, skipped: 0, notWanted: 0 }
  for (let partition = 0; partition < partitions; partition++) {
    for await (const page of readEntries(redis, keyPrefix, { stream: 'events', partition, ...range })) {
      const chosen = page.filter(matches)
      const wanted = chosen.filter(isWanted)
      const ids = wanted.map(({ id }) => id)
      const { length } = await redeliver(redis, keyPrefix, consumer, partition, ids)
      count.replayed += length
      count.skipped += wanted.length - length
      count.notWanted += chosen.length - wanted.length
    }
  }
  return count
}
