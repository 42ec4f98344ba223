import { consumerStates } from '../../dispatch/consumer-state.ts'
import { type ConsumerStatus, consumerStatusReader } from '../../dispatch/consumer-status.ts'
import { handOnTo } from '../../dispatch/direct-publish.ts'
import { parkedDeliveries } from '../../dispatch/parked.ts'
import { type ReplayedLetters, replayLetters } from '../../dispatch/replay.ts'
import { lookIntoQueue } from '../../dispatch/sinks/push-queue.ts'
import { type DeadLetter, deadLetters } from '../../group/dead-letters.ts'
import { removeGroup } from '../../log/group-stats.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { UsageError } from '../command.ts'
import type { OpenLog } from '../open-log.ts'

type Chosen = readonly string[] | 'all'

export interface ConsumerList {
  readonly consumers: readonly ConsumerStatus[]
  /** Parked deliveries, in all partitions. */
  readonly parked: number
}

const PAGE_LETTERS = 200
const ENTRY_ID = /^\d+-\d+$/

/** What the command `consumers` does. @throws UsageError for a consumer or an id that is none */
export function consumerActions({ config, redis, patient }: OpenLog<'dispatch'>, now: () => number) {
  const { keyPrefix } = config.log
  const { consumers } = config.dispatch
  const letters = deadLetters(redis, keyPrefix)
  const states = consumerStates(redis, keyPrefix, now)
  const readAll = consumerStatusReader({ redis, keyPrefix, consumers, now })

  return {
    list: async (): Promise<ConsumerList> => {
      const parked = await parkedDeliveries(redis, keyPrefix).count()
      return { consumers: await readAll(), parked }
    },
    letters: async (consumer: string, count: number): Promise<readonly DeadLetter[]> => {
      await known(consumer)
      return letters.list(consumer, count)
    },
    replay: async (consumer: string, chosen: Chosen): Promise<ReplayedLetters> => {
      const { handOn, close } = handOnTo(settingsOf(consumer), patient, keyPrefix)
      const total = { replayed: 0, left: [] as ReplayedLetters['left'][number][] }
      try {
        for await (const page of chosenLetters(consumer, chosen)) {
          const { replayed, left } = await replayLetters({ redis, keyPrefix, consumer, handOn }, page)
          total.replayed += replayed
          total.left.push(...left)
        }
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOGROUP'))) throw error
        throw new UsageError(`no consumer group ${JSON.stringify(consumer)} reads the log`)
      } finally {
        await close()
      }
      return total
    },
    drop: async (consumer: string, chosen: Chosen): Promise<number> => {
      if (chosen !== 'all') return letters.drop(consumer, chosen.map(entryId))
      await known(consumer)
      const count = await letters.count(consumer)
      await letters.forget(consumer)
      return count
    },
    enable: async (consumer: string): Promise<void> => {
      const settings = settingsOf(consumer)
      if (settings === undefined) throw new UsageError(`${consumer} is not in CONSUMERS_FILE`)
      await states.enable(consumer)
      if (settings.type === 'http') await queueOf(consumer).queue.resume()
    },
    /** @returns how many dead letters stay */
    remove: async (consumer: string, force: boolean): Promise<number> => {
      const { members, queued } = await known(consumer)
      if (members > 0 && !force) {
        throw new UsageError(
          `${consumer} has running members (${members}) that would create the group again: stop them first, or take ${consumer} out of CONSUMERS_FILE (--force removes it anyway)`
        )
      }
      await removeGroup(redis, keyPrefix, consumer)
      if (queued > 0) await queueOf(consumer).queue.obliterate({ force: true })
      await states.forget(consumer)
      return letters.count(consumer)
    }
  }

  function settingsOf(consumer: string): ConsumerSettings | undefined {
    return consumers.find(({ name }) => name === consumer)
  }

  function queueOf(consumer: string) {
    return lookIntoQueue({ redis: patient(), keyPrefix, consumer })
  }

  async function known(consumer: string): Promise<ConsumerStatus | { members: number; queued: number }> {
    const found = (await readAll()).find(({ name }) => name === consumer)
    if (found !== undefined) return found
    if ((await letters.count(consumer)) > 0) return { members: 0, queued: 0 }
    throw new UsageError(`no such consumer: ${JSON.stringify(consumer)}`)
  }

  async function* chosenLetters(consumer: string, chosen: Chosen): AsyncGenerator<readonly DeadLetter[]> {
    if (chosen !== 'all') {
      const found = await Promise.all(chosen.map(id => letters.get(consumer, entryId(id))))
      const missing = chosen.find((_, index) => found[index] === undefined)
      if (missing !== undefined) throw new UsageError(`${consumer} has no dead letter ${missing}`)
      return yield found.filter(letter => letter !== undefined)
    }
    // What becomes a dead letter again meanwhile is not replayed again.
    const until = `${now()}-0`
    for (let after: string | undefined; ; ) {
      const page: readonly DeadLetter[] = await letters.list(consumer, PAGE_LETTERS, after)
      const older = page.filter(({ letter }) => Number.parseInt(letter, 10) <= Number.parseInt(until, 10))
      if (older.length === 0) return
      yield older
      after = older.at(-1)?.letter
    }
  }
}

function entryId(id: string): string {
  if (ENTRY_ID.test(id)) return id
  throw new UsageError(`not the id of a dead letter: ${JSON.stringify(id)}`)
}
