// Tested by test/cli/consumers/command.slow.test.ts and test/cli/consumers/show.slow.test.ts.
import { type Attempt, attemptHistory } from '../../dispatch/attempts.ts'
import { consumerStates } from '../../dispatch/consumer-state.ts'
import { type ConsumerStatus, consumerStatusReader } from '../../dispatch/consumer-status.ts'
import { inspectQueue } from '../../dispatch/http/push-queue.ts'
import { parkedDeliveries } from '../../dispatch/parked.ts'
import { type ReplayedRange, replayRange } from '../../dispatch/replay.ts'
import { type DeadLetter, deadLetters } from '../../group/dead-letters.ts'
import { isEntryId } from '../../log/position.ts'
import type { StreamEntry } from '../../log/read-range.ts'
import { removeGroup } from '../../log/stats.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Settings } from '../../settings/config.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { ActionError } from '../action-error.ts'
import { chosenLetters, countChosen, type LetterChoice, type LetterFilter } from './choose-letters.ts'
import { type DeliveryRate, deliveryRate } from './delivery-rate.ts'
import { ofExistingGroup, unknownConsumer } from './find-consumer.ts'
import { type LetterPage, letterPage } from './letter-page.ts'
import { countByReason } from './letter-reasons.ts'
import { recentActivity } from './recent-activity.ts'
import { type Replayed, type ReplayOptions, replayChosen } from './replay-letters.ts'
import { withoutSecrets } from './shown-settings.ts'
import { type Exchange, testConsumer } from './test-consumer.ts'

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

export interface Dropped {
  readonly dropped: number
  /** Ids that no dead letter has. */
  readonly unknown: readonly string[]
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
  const readStatus = consumerStatusReader({ redis, keyPrefix, consumers, now })

  return {
    list: async (): Promise<ConsumerList> => ({
      consumers: await readStatus(),
      parked: await parkedDeliveries(redis, keyPrefix).count()
    }),
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
    /** Its events stay in the log until `resume`. All replicas obey within 2 s. */
    pause: async (name: string): Promise<void> => {
      await requirePush(name, 'paused: stop its processes instead')
      await states.pause(name)
    },
    resume: async (name: string): Promise<void> => {
      await requirePush(name, 'resumed: start its processes instead')
      await states.resume(name)
    },
    /** Sends a marked event directly to the target. It never enters the log, and counts as no attempt. */
    test: async (name: string): Promise<Exchange> =>
      testConsumer(await requirePush(name, 'tested: it reads the log by itself'), now),
    /** Newest first; none of a consumer that only reads the log. */
    attempts: async (name: string, count: number): Promise<readonly Attempt[]> => {
      await requireKnown(name)
      return attempts.newest(name, count)
    },
    /** Oldest first. */
    deadLetters: async (
      name: string,
      filter: LetterFilter,
      count: number
    ): Promise<readonly DeadLetter[]> => {
      await requireKnown(name)
      const found: DeadLetter[] = []
      for await (const page of chosenLetters(letters, name, filter, Number.POSITIVE_INFINITY)) {
        found.push(...page.letters)
        if (found.length >= count) break
      }
      return found.slice(0, count)
    },
    /** A page of its dead letters, oldest first. */
    letterPage: async (name: string, filter: LetterFilter): Promise<LetterPage> => {
      await requireKnown(name)
      return letterPage(letters, name, filter)
    },
    /** @throws ActionError also if it has no such dead letter */
    deadLetter: async (name: string, letter: string): Promise<DeadLetter> => {
      const found = isEntryId(letter) ? await letters.get(name, letter) : undefined
      if (found !== undefined) return found
      throw new ActionError(
        'unknown',
        `${name} has no dead letter ${letter}: it was replayed, dropped or trimmed`
      )
    },
    /** Events that push consumers accepted in the last minute. */
    deliveryRate: (name: string): Promise<DeliveryRate | undefined> =>
      settingsOf(name) === undefined ? Promise.resolve(undefined) : deliveryRate(redis, keyPrefix, name),
    deadByReason: (name: string) => countByReason(redis, keyPrefix, name),
    /** Number of its dead letters, or of the chosen ones. With a filter, it reads all of them. */
    countLetters: async (name: string, choice: LetterChoice = {}): Promise<number> => {
      await requireKnown(name)
      return countChosen(letters, name, choice, now())
    },
    /** Processes dead letters again. Replayed ones are removed. */
    replay: async (name: string, choice: LetterChoice, options: ReplayOptions = {}): Promise<Replayed> => {
      await requireKnown(name)
      const context = { redis, keyPrefix, consumer: name, settings: settingsOf(name), openBlocking }
      const chosen = chosenLetters(letters, name, choice, now())
      return ofExistingGroup(name, replayChosen(context, chosen, options))
    },
    /** Gives a consumer a part of the log again. @param range ids of entries or their milliseconds, both included */
    replayRange: async (
      name: string,
      range: { readonly from: string; readonly to: string },
      matches: (entry: StreamEntry) => boolean
    ): Promise<ReplayedRange & Pick<ConsumerStatus, 'type'>> => {
      const { type } = await requireStatus(name)
      const options = { redis, keyPrefix, consumer: name, types: settingsOf(name)?.types }
      return { type, ...(await ofExistingGroup(name, replayRange(options, range, matches))) }
    },
    drop: async (
      name: string,
      choice: LetterChoice,
      { signal, onProgress = () => {} }: Pick<ReplayOptions, 'signal' | 'onProgress'> = {}
    ): Promise<Dropped> => {
      await requireKnown(name)
      let dropped = 0
      const unknown: string[] = []
      for await (const page of chosenLetters(letters, name, choice, now())) {
        if (signal?.aborted) break
        unknown.push(...page.unknown)
        const ids = page.letters.map(({ letter }) => letter)
        dropped += await letters.drop(name, ids)
        onProgress(dropped)
      }
      return { dropped, unknown }
    },
    /** Ends the state `disabled` after an answer 410. */
    enable: async (name: string): Promise<void> => {
      const settings = await requirePush(name, 'enabled: only push consumers are ever disabled')
      await states.enable(name)
      if (settings.type === 'http') await queueOf(name).resume()
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
      if (found === 'only dead letters') return letters.count(name)
      if (!force) refuseActive(found, now())
      await removeGroup(redis, keyPrefix, name)
      if (found.queued > 0) await queueOf(name).obliterate({ force: true })
      await Promise.all([states.remove(name), attempts.remove(name)])
      return letters.count(name)
    }
  }

  function settingsOf(name: string): ConsumerSettings | undefined {
    return consumers.find(consumer => consumer.name === name)
  }

  function queueOf(name: string) {
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

  /** @param otherwise the rest of `<name> cannot be …`, for a consumer of another kind */
  async function requirePush(name: string, otherwise: string): Promise<ConsumerSettings> {
    const settings = settingsOf(name)
    if (settings !== undefined) return settings
    const { type } = await requireStatus(name)
    throw new ActionError(
      'invalid',
      `${name} is not in CONSUMERS_FILE (kind ${type}), so it cannot be ${otherwise}`
    )
  }
}

function refuseActive(status: ConsumerStatus, nowMs: number): void {
  const activity = recentActivity(status, nowMs)
  if (activity !== undefined) {
    throw new ActionError('needs_force', `${activity} (--force removes it anyway)`)
  }
}
