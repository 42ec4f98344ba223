// Tested by test/cli/consumers/command.slow.test.ts and test/dispatch/dispatcher.test.ts.
import { deadLetters } from '../group/dead-letters.ts'
import { runtimeConsumerNames } from '../group/fenced-read.ts'
import { publishedPartitions } from '../log/partition.ts'
import { type GroupStats, groupStats } from '../log/stats.ts'
import type { RedisClient } from '../redis/connect.ts'
import { flatToMap } from '../redis/reply.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { consumerStates } from './consumer-state.ts'
import { inspectQueue, type OpenQueue } from './sinks/push-queue.ts'

/**
 * `disabled`: it answered 410 and gets no events until it is enabled. `no_members`: nothing reads for it, and the log
 * keeps all events that it has not read. `failing`: its last attempt failed, and events wait.
 */
type ConsumerStateName = 'ok' | 'failing' | 'disabled' | 'no_members'

export interface ConsumerStatus extends GroupStats {
  /**
   * As in `CONSUMERS_FILE`; otherwise `redis` for a plain Redis Streams group (XREADGROUP), whose `members` are its
   * consumers that were active lately, and `library` for the others.
   */
  readonly type: ConsumerSettings['type'] | 'library' | 'redis'
  /** Events in its push queue. */
  readonly queued: number
  readonly dead: number
  readonly failures: number
  readonly lastFailure: string | undefined
  readonly lastFailureAtMs: number | undefined
  readonly state: ConsumerStateName
}

/** An older failure says nothing about the present state. */
const FAILING_MS = 10 * 60 * 1000
/** A consumer of a plain group that has not called Redis for so long is not active. It may be processing a batch. */
const ACTIVE_MS = 5 * 60 * 1000

interface ConsumerStatusOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumers: readonly ConsumerSettings[]
  readonly now: () => number
}

/**
 * Returns a function that reads the status of all consumers: those of `CONSUMERS_FILE`, and all other groups of the
 * log. It rejects with the error of Redis.
 */
export function consumerStatusReader(
  options: ConsumerStatusOptions
): () => Promise<readonly ConsumerStatus[]> {
  const { redis, keyPrefix, consumers, now } = options
  const states = consumerStates(redis, keyPrefix, now)
  const letters = deadLetters(redis, keyPrefix)
  const queues = new Map<string, OpenQueue>()

  return async () => {
    const groups = await groupStats(redis, keyPrefix)
    const started = new Set(groups.map(({ name }) => name))
    const notStarted = consumers
      .filter(({ name }) => !started.has(name))
      .map(({ name }) => ({ name, lag: undefined, pending: 0, oldestAgeMs: undefined, members: 0 }))
    return Promise.all([...groups, ...notStarted].map(readStatus))
  }

  async function readStatus(group: GroupStats): Promise<ConsumerStatus> {
    const { name } = group
    const settings = consumers.find(consumer => consumer.name === name)
    const mayBePlain = settings === undefined && group.members === 0
    const [{ failures, lastFailure, lastFailureAtMs, disabledAtMs }, dead, queue, idleMs] = await Promise.all(
      [
        states.read(name),
        letters.count(name),
        queueOf(name).outstanding(),
        mayBePlain ? idleTimesMs(redis, keyPrefix, name) : []
      ]
    )
    const nowMs = now()
    const queueAgeMs = queue.oldestMs && Math.max(0, nowMs - queue.oldestMs)
    const ages = [group.oldestAgeMs, queueAgeMs].filter(age => age !== undefined)
    const oldestAgeMs = ages.length === 0 ? undefined : Math.max(...ages)
    const isPlain = idleMs.length > 0
    const active = idleMs.filter(ms => ms < ACTIVE_MS).length
    const hasFailed = lastFailureAtMs !== undefined && nowMs - lastFailureAtMs < FAILING_MS
    // A consumer that blocks in XREADGROUP looks idle as long as no event arrives.
    const hasReader = isPlain ? active > 0 || oldestAgeMs === undefined : group.members > 0
    return {
      ...group,
      members: isPlain ? active : group.members,
      oldestAgeMs,
      type: settings?.type ?? (isPlain ? 'redis' : 'library'),
      queued: queue.count,
      dead,
      failures,
      lastFailure,
      lastFailureAtMs,
      state:
        disabledAtMs !== undefined
          ? 'disabled'
          : !hasReader
            ? 'no_members'
            : hasFailed && oldestAgeMs !== undefined
              ? 'failing'
              : 'ok'
    }
  }

  /** Also for consumers that are no longer in the file: events in their queue are still undelivered. */
  function queueOf(consumer: string): OpenQueue {
    const queue = queues.get(consumer) ?? inspectQueue(redis, keyPrefix, consumer)
    queues.set(consumer, queue)
    return queue
  }
}

/**
 * How long each Redis consumer of a group has been idle, over all partitions, without those that belong to our own
 * runtime: they are in the group for good, whether a member runs or not.
 */
async function idleTimesMs(redis: RedisClient, keyPrefix: string, group: string): Promise<readonly number[]> {
  const idleMs = new Map<string, number>()
  for (const { events } of await publishedPartitions(redis, keyPrefix)) {
    for (const fields of await infoConsumers(redis, events, group)) {
      const [name, idle] = [String(fields.get('name')), Number(fields.get('idle'))]
      if (!runtimeConsumerNames.has(name)) idleMs.set(name, Math.min(idle, idleMs.get(name) ?? idle))
    }
  }
  return [...idleMs.values()]
}

/** The consumers of a group in one stream; none where the stream or the group does not exist there. */
async function infoConsumers(
  redis: RedisClient,
  stream: string,
  group: string
): Promise<ReadonlyMap<unknown, unknown>[]> {
  try {
    const consumers = (await redis.xinfo('CONSUMERS', stream, group)) as unknown[][]
    return consumers.map(flatToMap)
  } catch (error) {
    if (error instanceof Error && /^(?:NOGROUP|ERR no such key)/.test(error.message)) return []
    throw error
  }
}
