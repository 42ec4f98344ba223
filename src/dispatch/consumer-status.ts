// Tested by test/dispatch/consumer-status.test.ts and test/cli/consumers/command.slow.test.ts.
import { mapLimited } from '../async/map-limited.ts'
import { deadLetters } from '../group/dead-letters.ts'
import { type GroupStats, groupStats } from '../log/stats.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { type ConsumerState, consumerStates } from './consumer-state.ts'
import { activeConsumers, groupActivity, mayBlock } from './group-activity.ts'

/**
 * `disabled`: it answered 410 and gets no events until it is enabled. `paused`: an operator paused it. `no_members`:
 * nothing reads for it, and the log keeps all events that it has not read. `failing`: its last attempt failed.
 */
type ConsumerStateName = 'ok' | 'failing' | 'paused' | 'disabled' | 'no_members'

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
  /** Why it is disabled, or else why its last failed attempt failed. */
  readonly lastFailure: string | undefined
  readonly lastFailureAtMs: number | undefined
  /** The first failure after the last success; `undefined` after a success. */
  readonly failingSinceMs: number | undefined
  readonly lastSuccessAtMs: number | undefined
  readonly pausedAtMs: number | undefined
  readonly disabledAtMs: number | undefined
  readonly disabledReason: string | undefined
  /** When it last called Redis to read the log, unix milliseconds; `undefined` if it never has. */
  readonly lastActiveMs: number | undefined
  readonly state: ConsumerStateName
}

interface ConsumerStatusOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumers: readonly ConsumerSettings[]
  readonly now: () => number
}

/** Each takes some ten commands. There may be a thousand consumers, and the receiver uses the same connection. */
const READ_AT_ONCE = 25

/**
 * Returns a function that reads the status of all consumers: those of `CONSUMERS_FILE`, and all other groups of the
 * log. With the name of a consumer it reads only that one, which is far cheaper among many. It rejects with the error
 * of Redis.
 */
export function consumerStatusReader(
  options: ConsumerStatusOptions
): (only?: string) => Promise<readonly ConsumerStatus[]> {
  const { redis, keyPrefix, consumers, now } = options
  const states = consumerStates(redis, keyPrefix, now)
  const letters = deadLetters(redis, keyPrefix)

  return async only => {
    const groups = await groupStats(redis, keyPrefix, only)
    const started = new Set(groups.map(({ name }) => name))
    const notStarted = consumers
      .filter(({ name }) => !started.has(name) && (only === undefined || name === only))
      .map(({ name }) => ({ name, lag: undefined, pending: 0, oldestAgeMs: undefined, members: 0 }))
    return mapLimited([...groups, ...notStarted], READ_AT_ONCE, readStatus)
  }

  async function readStatus(group: GroupStats): Promise<ConsumerStatus> {
    const { name } = group
    const settings = consumers.find(consumer => consumer.name === name)
    // BullMQ takes a third of the time that the service needs to start: not loaded before there is a consumer.
    const { inspectQueue } = await import('./http/push-queue.ts')
    const [state, dead, queue, activity] = await Promise.all([
      states.read(name),
      letters.count(name),
      // Also of consumers that are no longer in the file: events in their queue are still undelivered.
      inspectQueue(redis, keyPrefix, name).outstanding(),
      group.members > 0 ? { runtimeIdleMs: 0, plainIdleMs: [] } : groupActivity(redis, keyPrefix, name)
    ])
    const { disabledAtMs, disabledReason } = state
    const nowMs = now()
    const queueAgeMs = queue.oldestMs && Math.max(0, nowMs - queue.oldestMs)
    const ages = [group.oldestAgeMs, queueAgeMs].filter(age => age !== undefined)
    const oldestAgeMs = ages.length === 0 ? undefined : Math.max(...ages)
    const isPlain = settings === undefined && activity.plainIdleMs.length > 0
    const members = isPlain ? activeConsumers(activity.plainIdleMs) : group.members
    const idleMs = isPlain ? Math.min(...activity.plainIdleMs) : activity.runtimeIdleMs
    const hasReader = members > 0 || (isPlain && mayBlock(group))
    return {
      ...group,
      ...state,
      ...(disabledAtMs !== undefined && { lastFailure: disabledReason, lastFailureAtMs: disabledAtMs }),
      members,
      oldestAgeMs,
      type: settings?.type ?? (isPlain ? 'redis' : 'library'),
      queued: queue.count,
      dead,
      lastActiveMs: idleMs === undefined ? undefined : nowMs - idleMs,
      state: stateName(state, hasReader)
    }
  }
}

function stateName(state: ConsumerState, hasReader: boolean): ConsumerStateName {
  const { disabledAtMs, pausedAtMs, lastFailureAtMs, lastSuccessAtMs = 0 } = state
  if (disabledAtMs !== undefined) return 'disabled'
  if (pausedAtMs !== undefined) return 'paused'
  if (!hasReader) return 'no_members'
  return lastFailureAtMs !== undefined && lastFailureAtMs > lastSuccessAtMs ? 'failing' : 'ok'
}
