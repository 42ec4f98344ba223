// Tested by test/cli/consumers/command.slow.test.ts and test/cli/consumers/show.slow.test.ts.
import { type Attempt, attemptHistory } from '../../dispatch/attempts.ts'
import { consumerStates } from '../../dispatch/consumer-state.ts'
import { type ConsumerStatus, consumerStatusReader } from '../../dispatch/consumer-status.ts'
import { parkedDeliveries } from '../../dispatch/parked.ts'
import { type ReplayedRange, replayRange } from '../../dispatch/replay.ts'
import { deadLetters } from '../../group/dead-letters.ts'
import type { StreamEntry } from '../../log/read-range.ts'
import { removeGroup } from '../../log/stats.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Settings } from '../../settings/config.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { ActionError } from '../action-error.ts'
import { type DeliveryRate, deliveryRate } from './delivery-rate.ts'
import { ofExistingGroup, unknownConsumer } from './find-consumer.ts'
import { letterActions } from './letter-actions.ts'
import { countByReason } from './letter-reasons.ts'
import { recentActivity } from './recent-activity.ts'
import { type RemovedConsumer, removedConsumers } from './removed-consumers.ts'
import { withoutSecrets } from './shown-settings.ts'
import type { Exchange } from './test-consumer.ts'

export interface ActionContext {
  readonly config: Settings<'log' | 'dispatch'>
  readonly redis: RedisClient
  /** Opens a further connection, for BullMQ. The caller closes it. */
  openBlocking(): RedisClient
}

export interface ConsumerList {
  readonly consumers: readonly ConsumerStatus[]
  /** Number of parked deliveries, in all partitions. */
  readonly parked: number
  /** Those that were removed before their dead letters were dropped. */
  readonly removedConsumers: readonly RemovedConsumer[]
}

export interface ConsumerDetails {
  readonly status: ConsumerStatus
  /** Of `CONSUMERS_FILE`, without secrets; `undefined` for a consumer that is not in it. */
  readonly settings: Readonly<Record<string, unknown>> | undefined
  /** Number of dead letters by reason. */
  readonly deadByReason: Readonly<Record<string, number>>
  /** The newest attempts, newest first; none of a consumer that only reads the log. */
  readonly attempts: readonly Attempt[]
}

const SHOWN_ATTEMPTS = 10

/**
 * What an operator can do with consumers, from the command line and the console. Every action throws ActionError for an
 * unknown consumer, and the error of Redis.
 */
export function consumerActions({ config, redis, openBlocking }: ActionContext, now: () => number) {
  const { keyPrefix } = config.log
  const { consumers } = config.dispatch
  const letters = deadLetters(redis, keyPrefix)
  const states = consumerStates(redis, keyPrefix, now)
  const attempts = attemptHistory(redis, keyPrefix)
  const removed = removedConsumers(redis, keyPrefix)
  const readStatus = consumerStatusReader({ redis, keyPrefix, consumers, now })

  return {
    list: async (): Promise<ConsumerList> => {
      const consumers = await readStatus()
      return {
        consumers,
        parked: await parkedDeliveries(redis, keyPrefix).count(),
        removedConsumers: await removed.list(consumers.map(({ name }) => name))
      }
    },
    /** @throws ActionError also for a consumer of which only dead letters are left */
    status: (name: string): Promise<ConsumerStatus> => requireStatus(name),
    /** @throws ActionError as `status` does */
    show: async (name: string): Promise<ConsumerDetails> => {
      const status = await requireStatus(name)
      const [deadByReason, newest] = await Promise.all([
        countByReason(redis, keyPrefix, name),
        attempts.newest(name, SHOWN_ATTEMPTS)
      ])
      return { status, settings: withoutSecrets(settingsOf(name)), deadByReason, attempts: newest }
    },
    /** Its events stay in the log until `resume`. All replicas obey within 2 s. @returns whether that changes it */
    pause: async (name: string): Promise<boolean> => {
      await requirePush(name, 'paused: stop its processes instead')
      const { pausedAtMs } = await states.read(name)
      await states.pause(name)
      return pausedAtMs === undefined
    },
    /** @returns whether it was paused */
    resume: async (name: string): Promise<boolean> => {
      await requirePush(name, 'resumed: start its processes instead')
      const { pausedAtMs } = await states.read(name)
      await states.resume(name)
      return pausedAtMs !== undefined
    },
    /** Sends a marked event directly to the target. It never enters the log, and counts as no attempt. */
    test: async (name: string): Promise<Exchange> => {
      const settings = await requirePush(name, 'tested: it reads the log by itself')
      // With undici and the clients of the brokers, which no other action needs: they take longer to load than the rest.
      const { testConsumer } = await import('./test-consumer.ts')
      return testConsumer(settings, now)
    },
    /** Newest first; none of a consumer that only reads the log. */
    attempts: async (name: string, count: number): Promise<readonly Attempt[]> => {
      await requireKnown(name)
      return attempts.newest(name, count)
    },
    ...letterActions({ redis, keyPrefix, settingsOf, requireKnown, openBlocking }),
    /** Events that push consumers accepted in the last minute. */
    deliveryRate: (name: string): Promise<DeliveryRate | undefined> =>
      settingsOf(name) === undefined ? Promise.resolve(undefined) : deliveryRate(redis, keyPrefix, name),
    /** Gives a consumer a part of the log again. @param range ids of entries or their milliseconds, both included */
    replayRange: async (
      name: string,
      range: { readonly from: string; readonly to: string },
      matches: (entry: StreamEntry) => boolean
    ): Promise<ReplayedRange & Pick<ConsumerStatus, 'type'>> => {
      const { type } = await requireStatus(name)
      const options = { redis, keyPrefix, consumer: name, settings: settingsOf(name) }
      return { type, ...(await ofExistingGroup(name, replayRange(options, range, matches))) }
    },
    /** Ends the state `disabled` after an answer 410. @returns whether it was disabled */
    enable: async (name: string): Promise<boolean> => {
      const settings = await requirePush(name, 'enabled: only push consumers are ever disabled')
      const { disabledAtMs } = await states.read(name)
      await states.enable(name)
      if (settings.type === 'http') await (await queueOf(name)).resume()
      return disabledAtMs !== undefined
    },
    /**
     * Deletes a consumer group, its push queue, its state and its attempts, but not its dead letters.
     *
     * @param force also if it was active within a day
     * @returns how many dead letters remain
     * @throws ActionError with `needs_force` if it was active within a day
     */
    remove: async (name: string, force: boolean): Promise<number> => {
      const found = await requireKnown(name)
      if (found !== 'only dead letters' && !force) refuseActive(found, now())
      const dead = await letters.count(name)
      if (dead > 0) await removed.add(name, now())
      if (found === 'only dead letters') return dead
      await removeGroup(redis, keyPrefix, name)
      if (found.queued > 0) await (await queueOf(name)).obliterate({ force: true })
      await Promise.all([states.remove(name), attempts.remove(name)])
      return dead
    }
  }

  function settingsOf(name: string): ConsumerSettings | undefined {
    return consumers.find(consumer => consumer.name === name)
  }

  async function queueOf(name: string) {
    const { inspectQueue } = await import('../../dispatch/http/push-queue.ts')
    return inspectQueue(openBlocking(), keyPrefix, name).queue
  }

  async function requireStatus(name: string): Promise<ConsumerStatus> {
    const [found] = await readStatus(name)
    if (found !== undefined) return found
    const all = await readStatus()
    throw unknownConsumer(
      name,
      all.map(status => status.name)
    )
  }

  async function requireKnown(name: string): Promise<ConsumerStatus | 'only dead letters'> {
    try {
      return await requireStatus(name)
    } catch (error) {
      if (error instanceof ActionError && (await letters.count(name)) > 0) return 'only dead letters'
      throw error
    }
  }

  /** @param otherwise the rest of `<name> cannot be …`, for a consumer of another type */
  async function requirePush(name: string, otherwise: string): Promise<ConsumerSettings> {
    const settings = settingsOf(name)
    if (settings !== undefined) return settings
    const { type } = await requireStatus(name)
    throw new ActionError(
      'invalid',
      `${name} is not in CONSUMERS_FILE (type ${type}), so it cannot be ${otherwise}`
    )
  }
}

function refuseActive(status: ConsumerStatus, nowMs: number): void {
  const activity = recentActivity(status, nowMs)
  if (activity !== undefined) {
    throw new ActionError('needs_force', `${activity} (--force removes it anyway)`)
  }
}
