// Tested by test/cli/consumers/command.slow.test.ts.
import { consumerStates } from '../../dispatch/consumer-state.ts'
import { type ConsumerStatus, consumerStatusReader } from '../../dispatch/consumer-status.ts'
import { openDirectPublisher } from '../../dispatch/direct-publish.ts'
import { parkedDeliveries } from '../../dispatch/parked.ts'
import { type ReplayedLetters, replayLetters } from '../../dispatch/replay.ts'
import { inspectQueue } from '../../dispatch/sinks/push-queue.ts'
import { type DeadLetter, deadLetters } from '../../group/dead-letters.ts'
import { removeGroup } from '../../log/stats.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { UsageError } from '../command.ts'
import type { OpenLog } from '../open-log.ts'

/** Ids on the command line, or `--all`. */
export type Chosen = readonly string[] | 'all'

export interface ConsumerList {
  readonly consumers: readonly ConsumerStatus[]
  /** Number of parked deliveries, in all partitions. */
  readonly parked: number
}

const PAGE_LETTERS = 200
const ENTRY_ID = /^\d+-\d+$/

/** The actions of the command `consumers`. They throw UsageError for an unknown consumer or id, and the error of Redis. */
export function consumerActions({ config, redis, openBlocking }: OpenLog<'dispatch'>, now: () => number) {
  const { keyPrefix } = config.log
  const { consumers } = config.dispatch
  const letters = deadLetters(redis, keyPrefix)
  const states = consumerStates(redis, keyPrefix, now)
  const readStatus = consumerStatusReader({ redis, keyPrefix, consumers, now })

  return {
    list: async (): Promise<ConsumerList> => ({
      consumers: await readStatus(),
      parked: await parkedDeliveries(redis, keyPrefix).count()
    }),
    deadLetters: async (consumer: string, count: number): Promise<readonly DeadLetter[]> => {
      await requireKnown(consumer)
      return letters.list(consumer, count)
    },
    replay: async (consumer: string, chosen: Chosen): Promise<ReplayedLetters> => {
      await requireKnown(consumer)
      const settings = settingsOf(consumer)
      const publisher = settings && openDirectPublisher(settings, openBlocking, keyPrefix)
      const total = { replayed: 0, left: [] as ReplayedLetters['left'][number][] }
      try {
        for await (const page of chosenLetters(consumer, chosen)) {
          const options = { redis, keyPrefix, consumer, publish: publisher?.publish }
          const { replayed, left } = await ofExistingGroup(consumer, replayLetters(options, page))
          total.replayed += replayed
          total.left.push(...left)
        }
      } finally {
        await publisher?.close()
      }
      return total
    },
    drop: async (consumer: string, chosen: Chosen): Promise<number> => {
      await requireKnown(consumer)
      if (chosen !== 'all') return letters.drop(consumer, chosen.map(entryId))
      const count = await letters.count(consumer)
      await letters.clear(consumer)
      return count
    },
    enable: async (consumer: string): Promise<void> => {
      const settings = settingsOf(consumer)
      if (settings === undefined) throw new UsageError(`${consumer} is not in CONSUMERS_FILE`)
      await states.enable(consumer)
      if (settings.type === 'http') await queueOf(consumer).resume()
    },
    /** @returns how many dead letters remain */
    remove: async (consumer: string, force: boolean): Promise<number> => {
      const { members, queued } = await requireKnown(consumer)
      if (members > 0 && !force) {
        throw new UsageError(
          `${consumer} has active members (${members}) that would create the group again: stop them first, or take ${consumer} out of CONSUMERS_FILE (--force removes it anyway)`
        )
      }
      await removeGroup(redis, keyPrefix, consumer)
      if (queued > 0) await queueOf(consumer).obliterate({ force: true })
      await states.remove(consumer)
      return letters.count(consumer)
    }
  }

  function settingsOf(consumer: string): ConsumerSettings | undefined {
    return consumers.find(({ name }) => name === consumer)
  }

  function queueOf(consumer: string) {
    return inspectQueue(openBlocking(), keyPrefix, consumer).queue
  }

  async function requireKnown(consumer: string): Promise<Pick<ConsumerStatus, 'members' | 'queued'>> {
    const found = (await readStatus()).find(({ name }) => name === consumer)
    if (found !== undefined) return found
    if ((await letters.count(consumer)) > 0) return { members: 0, queued: 0 }
    throw new UsageError(`unknown consumer ${JSON.stringify(consumer)}: cio-webhook consumers lists them`)
  }

  async function* chosenLetters(consumer: string, chosen: Chosen): AsyncGenerator<readonly DeadLetter[]> {
    if (chosen !== 'all') {
      const found = await Promise.all(chosen.map(id => letters.get(consumer, entryId(id))))
      const missing = chosen.find((_, index) => found[index] === undefined)
      if (missing !== undefined) throw new UsageError(`${consumer} has no dead letter ${missing}`)
      return yield found.filter(letter => letter !== undefined)
    }
    // An event that fails again becomes a new dead letter: it must not be replayed again.
    const untilMs = now()
    for (let after: string | undefined; ; ) {
      const page: readonly DeadLetter[] = await letters.list(consumer, PAGE_LETTERS, after)
      const older = page.filter(({ letter }) => Number.parseInt(letter, 10) <= untilMs)
      if (older.length === 0) return
      yield older
      after = older.at(-1)?.letter
    }
  }
}

/** @throws UsageError if Redis answers that the consumer group does not exist */
export async function ofExistingGroup<T>(consumer: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOGROUP'))) throw error
    throw new UsageError(`no consumer group ${JSON.stringify(consumer)} reads the log`)
  }
}

function entryId(id: string): string {
  if (ENTRY_ID.test(id)) return id
  throw new UsageError(
    `${JSON.stringify(id)} is not the id of a dead letter: cio-webhook consumers dead lists them`
  )
}
