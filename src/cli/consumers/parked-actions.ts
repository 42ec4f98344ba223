// Tested by test/cli/consumers/command.slow.test.ts.
import { type ParkedEntry, parkedDeliveries, replayParked } from '../../dispatch/parked.ts'
import { createEventLog } from '../../log/append.ts'
import { readPartitionCount } from '../../log/partition.ts'
import { isPosition, type LogPosition } from '../../log/position.ts'
import { openParked } from '../../receive/parked.ts'
import { durabilityWaits } from '../../redis/durability.ts'
import { inspectServers } from '../../redis/server-facts.ts'
import { type SigningKey, signingKeyName, signingKeys } from '../../settings/sources.ts'
import { UsageError } from '../command.ts'
import type { OpenLog } from '../open-log.ts'
import type { Chosen } from './actions.ts'
import { type ParkedSummary, parkedSummary } from './parked-report.ts'

interface ReplayedDeliveries {
  readonly replayed: number
  readonly left: readonly { readonly delivery: string; readonly why: string }[]
}

/** The id in the response to the sender: SHA-256 of the delivery, in hex. */
const PUBLIC_ID = /^[0-9a-f]{64}$/

/** The actions `parked`, `replay-parked` and `drop-parked`. They throw UsageError for an unknown delivery. */
export function parkedActions({ config, redis }: OpenLog<'loadSources' | 'loadSourceSettings'>) {
  const { keyPrefix, maxLength, durability } = config.log
  const parked = parkedDeliveries(redis, keyPrefix)

  return {
    list: async (count: number): Promise<readonly ParkedSummary[]> => {
      const found: ParkedSummary[] = []
      for await (const entry of parked.list()) {
        found.push(parkedSummary(entry))
        if (found.length === count) break
      }
      return found
    },
    show: async (delivery: string): Promise<ParkedEntry> => {
      const [position] = await positionsOf([delivery])
      const entry = position && (await parked.get(position))
      if (entry === undefined) throw unknownDelivery(delivery)
      return entry
    },
    /** @returns the body as it was received, or why it is not available */
    reveal: async ({ delivery }: ParkedEntry): Promise<Buffer | string> =>
      delivery === undefined
        ? 'it is not a parked delivery of this service'
        : openParked(delivery, await keysOf(delivery.source)),
    replay: async (chosen: Chosen): Promise<ReplayedDeliveries> => {
      const sources = await config.loadSources()
      const facts = await inspectServers(redis)
      const waits = durabilityWaits(redis, durability, () => facts)
      const eventLog = createEventLog({
        redis,
        keyPrefix,
        partitions: await readPartitionCount(redis, keyPrefix),
        maxLength,
        durabilityWait: waits?.of,
        isRedisUp: () => true
      })
      let replayed = 0
      const left: { delivery: string; why: string }[] = []
      try {
        for (const delivery of await positionsOf(chosen)) {
          const options = { parked, eventLog, sources, keysOf }
          const why = await replayParked(options, delivery)
          if (why === undefined) replayed++
          else left.push({ delivery, why })
        }
      } finally {
        waits?.close()
      }
      return { replayed, left }
    },
    drop: async (chosen: Chosen): Promise<number> => {
      let count = 0
      for (const position of await positionsOf(chosen)) if (await parked.drop(position)) count++
      return count
    }
  }

  async function positionsOf(chosen: Chosen): Promise<readonly LogPosition[]> {
    if (chosen !== 'all' && chosen.every(isNamedByPosition)) return chosen
    const all: LogPosition[] = []
    const byId = new Map<string, LogPosition>()
    for await (const { position, delivery } of parked.list()) {
      all.push(position)
      if (delivery !== undefined) byId.set(delivery.id, position)
    }
    if (chosen === 'all') return all
    return chosen.map(delivery => {
      const position = isNamedByPosition(delivery) ? delivery : byId.get(delivery)
      if (position === undefined) throw unknownDelivery(delivery)
      return position
    })
  }

  /** The keys of the configuration, and those in the secret store. */
  async function keysOf(source: string): Promise<readonly SigningKey[]> {
    const configured = (await config.loadSourceSettings()).find(({ name }) => name === source)?.keys ?? []
    const versions = await config.secrets.find(signingKeyName(source))?.versions()
    return [...configured, ...signingKeys(versions?.current?.reveal(), versions?.previous?.reveal())]
  }
}

/** A delivery is given by its position, or by the id in the response to the sender. */
function isNamedByPosition(delivery: string): delivery is LogPosition {
  if (isPosition(delivery)) return true
  if (PUBLIC_ID.test(delivery)) return false
  throw new UsageError(
    `${JSON.stringify(delivery)} is not a parked delivery: cio-webhook consumers parked lists them`
  )
}

const unknownDelivery = (delivery: string): UsageError =>
  new UsageError(`unknown parked delivery ${delivery}: cio-webhook consumers parked lists them`)
