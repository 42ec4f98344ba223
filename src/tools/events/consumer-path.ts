// Tested by test/tools/events/event-path.slow.test.ts.
import { type Attempt, attemptHistory } from '../../dispatch/attempts.ts'
import type { DeadLetter } from '../../group/dead-letters.ts'
import { compileEntryFilter } from '../../group/entry-filter.ts'
import { CONSUMER_NAME } from '../../group/fenced-read.ts'
import { groupKeys, partitionKeys } from '../../log/keys.ts'
import { entryTimeMs, formatPosition } from '../../log/position.ts'
import { compareIds, type StreamEntry } from '../../log/read-range.ts'
import type { StreamGroup } from '../../log/stats.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { CLOCK_DIFFERENCE_MS } from './walk-log.ts'

/**
 * - `unread`: the group has not read it yet
 * - `pending`: delivered to a member and not acknowledged
 * - `waiting`: in the push queue, for its first or its next attempt
 * - `dead`: a dead letter
 * - `acknowledged`: read and acknowledged, or the group was created after it
 * - `not_wanted`: the consumer's `types` leave it out, or its `backfilled`
 * - `trimmed`: it is no longer in the log. It is trimmed only after every group has acknowledged it
 */
export type EventState = 'unread' | 'pending' | 'waiting' | 'dead' | 'acknowledged' | 'not_wanted' | 'trimmed'

/** What one consumer did with an event. */
export interface ConsumerPath {
  readonly consumer: string
  readonly state: EventState
  /** While `pending`: who has it, how often it was delivered, and for how long it has been with its member. */
  readonly pending:
    | { readonly member: string; readonly deliveries: number; readonly idleMs: number }
    | undefined
  /** While `waiting`: failed attempts, and when the next is due, unix milliseconds; `undefined` while it is in flight or due. */
  readonly waiting: { readonly attempts: number; readonly nextAttemptAtMs: number | undefined } | undefined
  /** While `dead`. */
  readonly deadLetter:
    | Pick<DeadLetter, 'letter' | 'reason' | 'error' | 'attempts' | 'lastAttempts'>
    | undefined
  /** Those that are still in the log of attempts, newest first; none for consumers that read the log themselves. */
  readonly attempts: readonly Attempt[]
}

interface ConsumerPathOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly name: string
  /** `undefined` for a consumer that is not in `CONSUMERS_FILE`. */
  readonly settings: ConsumerSettings | undefined
  /** Its group in the partition of the entry. */
  readonly group: StreamGroup | undefined
  readonly letter: DeadLetter | undefined
  readonly entry: StreamEntry
  readonly eventId: string
  readonly isTrimmed: boolean
}

/** @throws the error of Redis */
export async function consumerPath(options: ConsumerPathOptions): Promise<ConsumerPath> {
  const { name, settings, group, letter, entry, isTrimmed } = options
  const mayBeRead = isTrimmed || group === undefined || compareIds(entry.id, group.lastDelivered) <= 0
  const attempts = mayBeRead ? await readAttempts(options) : []
  const path = { consumer: name, pending: undefined, waiting: undefined, deadLetter: undefined, attempts }
  const pending = isTrimmed || group === undefined ? undefined : await readPending(options, group)
  if (pending !== undefined) return { ...path, state: 'pending', pending }
  const waiting = await readWaiting(options)
  if (waiting !== undefined) return { ...path, state: 'waiting', waiting }
  if (letter !== undefined) {
    const { letter: id, reason, error, attempts, lastAttempts } = letter
    return { ...path, state: 'dead', deadLetter: { letter: id, reason, error, attempts, lastAttempts } }
  }
  if (settings !== undefined && !compileEntryFilter(settings)(entry)) return { ...path, state: 'not_wanted' }
  if (isTrimmed) return { ...path, state: 'trimmed' }
  return { ...path, state: group !== undefined && mayBeRead ? 'acknowledged' : 'unread' }
}

function readAttempts({ redis, keyPrefix, name, eventId, entry }: ConsumerPathOptions) {
  const sinceMs = entryTimeMs(entry.id) - CLOCK_DIFFERENCE_MS
  return attemptHistory(redis, keyPrefix).ofEvent(name, eventId, sinceMs)
}

async function readPending(
  { redis, keyPrefix, name, entry }: ConsumerPathOptions,
  { pending }: StreamGroup
): Promise<ConsumerPath['pending']> {
  if (pending === 0) return undefined
  const { events } = partitionKeys(keyPrefix, entry.partition)
  const [found] = await redis.xpending(events, name, entry.id, entry.id, 1)
  if (found === undefined) return undefined
  const [, consumer, idleMs, deliveries] = found as [string, string, number, number]
  return { member: await memberName(consumer), deliveries, idleMs }

  /** All members of our own runtime share one name in the group: the lease has the name of the process. */
  async function memberName(consumer: string): Promise<string> {
    if (consumer !== CONSUMER_NAME) return consumer
    const token = await redis.get(groupKeys(keyPrefix, name).lease(entry.partition))
    return token?.replace(/:[^:]*$/, '') ?? consumer
  }
}

/** Also for consumers that are no longer in the file: events in their queue are still undelivered. */
async function readWaiting({
  redis,
  keyPrefix,
  name,
  settings,
  entry
}: ConsumerPathOptions): Promise<ConsumerPath['waiting']> {
  if (settings !== undefined && settings.type !== 'http') return undefined
  // With BullMQ, which takes longer to load than the rest of the command.
  const { attemptsMade, inspectQueue, jobId } = await import('../../dispatch/http/push-queue.ts')
  const { queue } = inspectQueue(redis, keyPrefix, name)
  const id = jobId({ position: formatPosition(entry.partition, entry.id), event: entry.event })
  const job = await queue.getJob(id)
  if (job === undefined || (await job.isFailed()) || (await job.isCompleted())) return undefined
  // BullMQ keeps the time of delayed jobs in the upper bits of the score.
  const score = await redis.zscore(queue.toKey('delayed'), id)
  const nextAttemptAtMs = score === null ? undefined : Math.floor(Number(score) / 0x1000)
  return { attempts: attemptsMade(job), nextAttemptAtMs }
}
