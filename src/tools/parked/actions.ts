// Tested by test/cli/consumers/parked.slow.test.ts.
import { type ParkedEntry, parkedDeliveries, replayParked } from '../../dispatch/parked.ts'
import { isPosition, type LogPosition } from '../../log/position.ts'
import { openParked } from '../../receive/parked.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Settings } from '../../settings/config.ts'
import { type SigningKey, signingKeyName, signingKeys } from '../../settings/sources.ts'
import { openEventLog } from '../open-event-log.ts'
import { type ParkedSummary, parkedSummary } from './summary.ts'

/** Parked deliveries as an operator names them, or all. */
export type ParkedChoice = readonly string[] | 'all'

export interface ReplayedDeliveries {
  readonly replayed: number
  /** Those that stay parked, and why. */
  readonly left: readonly { readonly delivery: string; readonly why: string }[]
  /** No parked delivery has these names. */
  readonly unknown: readonly string[]
  /** It ended before the last of them, because of `signal`. */
  readonly interrupted: boolean
}

export interface DroppedDeliveries {
  readonly dropped: number
  readonly unknown: readonly string[]
  /** As of `ReplayedDeliveries`. */
  readonly interrupted: boolean
}

export interface BulkOptions {
  /** Ends the action after the current delivery. */
  readonly signal?: AbortSignal
  /** Called with the number of deliveries that were handled. */
  readonly onProgress?: (handled: number) => void
}

export interface ParkedPage {
  readonly deliveries: readonly ParkedSummary[]
  /** What the next page begins after; `undefined` on the last page. */
  readonly next: LogPosition | undefined
}

interface ParkedContext {
  readonly config: Settings<'log' | 'loadSources' | 'loadSourceSettings' | 'loadHashKey'>
  readonly redis: RedisClient
}

/** The id in the response to the sender: SHA-256 of the delivery, in hex. */
const PUBLIC_ID = /^[0-9a-f]{64}$/

/**
 * What an operator can do with parked deliveries, from the command line and the console. A delivery is given by its
 * position, or by the id in the response to the sender. Every action throws the error of Redis.
 */
export function parkedActions({ config, redis }: ParkedContext) {
  const parked = parkedDeliveries(redis, config.log.keyPrefix)

  return {
    count: () => parked.count(),
    list: async (count: number): Promise<readonly ParkedSummary[]> => {
      const found: ParkedSummary[] = []
      for await (const entry of parked.list()) {
        found.push(parkedSummary(entry))
        if (found.length === count) break
      }
      return found
    },
    /** A page, oldest first, partition by partition. @param after the last one of the page before */
    page: async (count: number, after?: LogPosition): Promise<ParkedPage> => {
      const deliveries: ParkedSummary[] = [] // the bodies are not kept
      let next: LogPosition | undefined
      for await (const entry of parked.list(after)) {
        if (deliveries.length === count) return { deliveries, next }
        deliveries.push(parkedSummary(entry))
        next = entry.position
      }
      return { deliveries, next: undefined }
    },
    /** @returns `undefined` if there is no such parked delivery */
    show: async (delivery: string): Promise<ParkedEntry | undefined> => {
      const [position] = (await positionsOf([delivery])).positions
      return position && parked.get(position)
    },
    /** @returns the body as it was received, or why it is not available */
    reveal: async ({ delivery }: ParkedEntry): Promise<Buffer | string> =>
      delivery === undefined
        ? 'it is not a parked delivery of this service'
        : openParked(delivery, await keysOf(delivery.source)),
    replay: async (
      chosen: ParkedChoice,
      { signal, onProgress = () => {} }: BulkOptions = {}
    ): Promise<ReplayedDeliveries> => {
      const sources = await config.loadSources()
      const { eventLog, close } = await openEventLog(redis, config.log, await config.loadHashKey())
      let replayed = 0
      const left: { delivery: string; why: string }[] = []
      try {
        const { positions, unknown } = await positionsOf(chosen)
        let interrupted = false
        for (const delivery of positions) {
          interrupted = signal?.aborted === true
          if (interrupted) break
          const options = { parked, eventLog, sources, keysOf }
          const why = await replayParked(options, delivery)
          if (why === undefined) replayed++
          else left.push({ delivery, why })
          onProgress(replayed + left.length)
        }
        return { replayed, left, unknown, interrupted }
      } finally {
        close()
      }
    },
    drop: async (
      chosen: ParkedChoice,
      { signal, onProgress = () => {} }: BulkOptions = {}
    ): Promise<DroppedDeliveries> => {
      const { positions, unknown } = await positionsOf(chosen)
      let dropped = 0
      let interrupted = false
      for (const position of positions) {
        interrupted = signal?.aborted === true
        if (interrupted) break
        if (await parked.drop(position)) dropped++
        onProgress(dropped)
      }
      return { dropped, unknown, interrupted }
    }
  }

  /** Reads the parked deliveries only if that is necessary: each can have 7 MiB. */
  async function positionsOf(chosen: ParkedChoice) {
    const all: LogPosition[] = []
    if (chosen === 'all') {
      for await (const { position } of parked.list()) all.push(position)
      return { positions: all, unknown: [] }
    }
    const byId = new Map<string, LogPosition>()
    if (chosen.some(name => PUBLIC_ID.test(name))) {
      for await (const { position, delivery } of parked.list()) {
        if (delivery !== undefined) byId.set(delivery.id, position)
      }
    }
    const positions: LogPosition[] = []
    const unknown: string[] = []
    for (const name of new Set(chosen)) {
      const position = isPosition(name) ? name : byId.get(name)
      const exists = position !== undefined && (byId.has(name) || (await parked.get(position)) !== undefined)
      if (exists) positions.push(position)
      else unknown.push(name)
    }
    return { positions, unknown }
  }

  /** The keys of the configuration, and those in the secret store. */
  async function keysOf(source: string): Promise<readonly SigningKey[]> {
    const configured = (await config.loadSourceSettings()).find(({ name }) => name === source)?.keys ?? []
    const versions = await config.secrets.find(signingKeyName(source))?.versions()
    return [...configured, ...signingKeys(versions?.current?.reveal(), versions?.previous?.reveal())]
  }
}
