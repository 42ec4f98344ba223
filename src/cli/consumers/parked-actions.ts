import { type ParkedEntry, parkedDeliveries, replayParked } from '../../dispatch/parked.ts'
import { createEventLog } from '../../log/append.ts'
import { readPartitionCount } from '../../log/partition-count.ts'
import { openParked } from '../../receive/parked.ts'
import { durabilityWaits } from '../../redis/durability.ts'
import { inspectServers } from '../../redis/server-facts.ts'
import { type SigningKey, signingKeyName, signingKeys } from '../../settings/sources.ts'
import { UsageError } from '../command.ts'
import type { OpenLog } from '../open-log.ts'
import { type ParkedSummary, parkedSummary, type ReplayedDeliveries } from './parked-report.ts'

type Chosen = readonly string[] | 'all'

const POSITION = /^\d+-\d+-\d+$/
/** What the sender was told: SHA-256 of the delivery, in hex. */
const ANSWERED_ID = /^[0-9a-f]{64}$/

/** What `consumers parked`, `replay-parked` and `drop-parked` do. */
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
      const [position = delivery] = await positions([delivery])
      const entry = await parked.get(position)
      if (entry === undefined) throw missing(delivery)
      return entry
    },
    /** @returns the body as it came, or why it cannot be had */
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
        makeRoom: async () => 0,
        isRedisUp: () => true
      })
      let replayed = 0
      const left: { delivery: string; why: string }[] = []
      try {
        for (const delivery of await positions(chosen)) {
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
      for (const position of await positions(chosen)) if (await parked.drop(position)) count++
      return count
    }
  }

  async function positions(chosen: Chosen): Promise<readonly string[]> {
    if (chosen !== 'all' && chosen.every(isPosition)) return chosen
    const all: string[] = []
    const byId = new Map<string, string>()
    for await (const { position, delivery } of parked.list()) {
      all.push(position)
      if (delivery !== undefined) byId.set(delivery.id, position)
    }
    if (chosen === 'all') return all
    return chosen.map(delivery => {
      const position = isPosition(delivery) ? delivery : byId.get(delivery)
      if (position === undefined) throw missing(delivery)
      return position
    })
  }

  /** The configured keys, and the previous one where the service keeps it. */
  async function keysOf(source: string): Promise<readonly SigningKey[]> {
    const configured = (await config.loadSourceSettings()).find(({ name }) => name === source)?.keys ?? []
    const versions = await config.secrets.find(signingKeyName(source))?.versions()
    return [...configured, ...signingKeys(versions?.current?.reveal(), versions?.previous?.reveal())]
  }
}

/** A delivery is named by its position or by the id in its answer. */
function isPosition(delivery: string): boolean {
  if (POSITION.test(delivery)) return true
  if (ANSWERED_ID.test(delivery)) return false
  throw new UsageError(`not a parked delivery: ${JSON.stringify(delivery)}`)
}

const missing = (delivery: string): UsageError => new UsageError(`there is no parked delivery ${delivery}`)
