// Tested by test/tools/events/event-path.slow.test.ts.
import { parseCloudEvent } from '../../group/cloud-event.ts'
import { type DeadLetter, deadLetters } from '../../group/dead-letters.ts'
import { groupKeys } from '../../log/keys.ts'
import { publishedPartitions } from '../../log/partition.ts'
import { groupsOf } from '../../log/stats.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { compileFilter } from './event-filter.ts'
import { scanStep } from './scan.ts'

export interface FoundLetter {
  readonly consumer: string
  readonly letter: DeadLetter
}

interface LettersOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumers: readonly ConsumerSettings[]
}

/** Dead letters of one event and one consumer; more of them are not shown. */
const MAX_LETTERS = 20

/**
 * The dead letters of an event, of every consumer that is configured or has a group.
 *
 * @param sinceMs older ones are not looked at, unix milliseconds of Redis
 * @throws the error of Redis
 */
export async function lettersOf(
  { redis, keyPrefix, consumers }: LettersOptions,
  eventId: string,
  sinceMs = 0
): Promise<readonly FoundLetter[]> {
  const letters = deadLetters(redis, keyPrefix)
  const partitions = await publishedPartitions(redis, keyPrefix)
  const groups = (await Promise.all(partitions.map(({ events }) => groupsOf(redis, events)))).flat()
  const names = [...new Set([...consumers, ...groups].map(({ name }) => name))]
  const counts = await Promise.all(names.map(name => letters.count(name)))
  const found: FoundLetter[] = []
  // One after the other: each step blocks Redis for about 1 ms.
  for (const consumer of names.filter((_, index) => counts[index] !== 0)) {
    for (const id of await idsOf(redis, groupKeys(keyPrefix, consumer).dead, eventId, sinceMs)) {
      const letter = await letters.get(consumer, id)
      if (letter !== undefined) found.push({ consumer, letter })
    }
  }
  return found
}

async function idsOf(
  redis: RedisClient,
  stream: string,
  eventId: string,
  sinceMs: number
): Promise<readonly string[]> {
  const oldest = String(Math.max(0, sinceMs))
  const { scan } = compileFilter({ ids: [eventId] })
  const found: string[] = []
  for (let newest = '+'; found.length < MAX_LETTERS; ) {
    const step = await scanStep(redis, stream, { newest, oldest }, scan, MAX_LETTERS)
    for (const [id, , event] of step.entries) if (parseCloudEvent(event)?.id === eventId) found.push(id)
    if (step.isDone) break
    newest = `(${step.oldest}`
  }
  return found
}
