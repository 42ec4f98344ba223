import { deadLetters } from '../group/dead-letters.ts'
import { type GroupStats, groupStats } from '../log/group-stats.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { consumerStates } from './consumer-state.ts'
import { lookIntoQueue, type OpenQueue } from './sinks/push-queue.ts'

/**
 * `disabled`: answered 410, and is told nothing until it is enabled. `unserved`: nobody works for it, while the
 * log keeps for it whatever it has not read. `failing`: its last attempt failed, and it has something to get.
 */
export type ConsumerStateName = 'ok' | 'failing' | 'disabled' | 'unserved'

/** Everything that is known of a consumer. */
export interface ConsumerStatus extends GroupStats {
  /** `library` where it is not in `CONSUMERS_FILE`. */
  readonly type: ConsumerSettings['type'] | 'library'
  /** Events in its push queue. */
  readonly queued: number
  readonly dead: number
  readonly failures: number
  readonly lastFailure: string | undefined
  readonly lastFailureAtMs: number | undefined
  readonly state: ConsumerStateName
}

/** How long ago a failure still says something about now. */
const FAILING_MS = 10 * 60 * 1000

export interface ReadConsumersOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumers: readonly ConsumerSettings[]
  readonly now: () => number
}

/**
 * What reads every consumer: those of `CONSUMERS_FILE`, and every other group the log keeps events for.
 * @throws what Redis answers
 */
export function consumerStatusReader(
  options: ReadConsumersOptions
): () => Promise<readonly ConsumerStatus[]> {
  const { redis, keyPrefix } = options
  const queues = new Map<string, OpenQueue>()
  return () => readConsumers(options, consumer => queueOf(consumer).outstanding())

  /** Also that of a consumer that is in the file no more: what is in its queue is still undelivered. */
  function queueOf(consumer: string): OpenQueue {
    const known = queues.get(consumer)
    if (known !== undefined) return known
    const queue = lookIntoQueue({ redis, keyPrefix, consumer })
    queues.set(consumer, queue)
    return queue
  }
}

type ReadQueue = (consumer: string) => ReturnType<OpenQueue['outstanding']>

async function readConsumers(
  options: ReadConsumersOptions,
  readQueue: ReadQueue
): Promise<readonly ConsumerStatus[]> {
  const { redis, keyPrefix, consumers } = options
  const groups = await groupStats(redis, keyPrefix)
  const known = new Set(groups.map(({ name }) => name))
  const notStarted = consumers
    .filter(({ name }) => !known.has(name))
    .map(({ name }) => ({ name, lag: undefined, pending: 0, oldestAgeMs: undefined, members: 0 }))
  return Promise.all([...groups, ...notStarted].map(group => readConsumer(options, group, readQueue)))
}

async function readConsumer(
  { redis, keyPrefix, consumers, now }: ReadConsumersOptions,
  group: GroupStats,
  readQueue: ReadQueue
): Promise<ConsumerStatus> {
  const settings = consumers.find(({ name }) => name === group.name)
  const [{ failures, lastFailure, lastFailureAtMs, disabledAtMs }, dead, queue] = await Promise.all([
    consumerStates(redis, keyPrefix, now).read(group.name),
    deadLetters(redis, keyPrefix).count(group.name),
    readQueue(group.name)
  ])
  const nowMs = now()
  const queueAgeMs = queue.oldestMs === undefined ? undefined : Math.max(0, nowMs - queue.oldestMs)
  const ages = [group.oldestAgeMs, queueAgeMs].filter(age => age !== undefined)
  const oldestAgeMs = ages.length === 0 ? undefined : Math.max(...ages)
  const failing =
    lastFailureAtMs !== undefined && nowMs - lastFailureAtMs < FAILING_MS && oldestAgeMs !== undefined
  return {
    ...group,
    oldestAgeMs,
    type: settings?.type ?? 'library',
    queued: queue.count,
    dead,
    failures,
    lastFailure,
    lastFailureAtMs,
    state:
      disabledAtMs !== undefined ? 'disabled' : group.members === 0 ? 'unserved' : failing ? 'failing' : 'ok'
  }
}
