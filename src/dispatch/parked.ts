// Tested by test/cli/consumers/parked.slow.test.ts and test/receive/parked.test.ts.
import { UnavailableError } from '../errors.ts'
import type { EventLog } from '../log/append.ts'
import { partitionKeys } from '../log/keys.ts'
import { publishedPartitions, readPartitionCount } from '../log/partition.ts'
import { entryTimeMs, formatPosition, type LogPosition, parsePosition } from '../log/position.ts'
import { readEntries } from '../log/read-range.ts'
import { parseDelivery, toLogEntry } from '../receive/log-entry.ts'
import { openParked, type ParkedDelivery, readParked } from '../receive/parked.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { SigningKey, Source } from '../settings/sources.ts'

/** An entry of a stream of parked deliveries. */
export interface ParkedEntry {
  readonly position: LogPosition
  /** When it was parked, by the clock of Redis, in unix milliseconds. */
  readonly parkedAtMs: number
  /** `undefined` if this service did not write the entry. */
  readonly delivery: ParkedDelivery | undefined
}

/** The parked deliveries, in all partitions. They are kept, within limits, until they are replayed or dropped. */
interface ParkedDeliveries {
  /** Does not read them: a delivery can have 7 MiB. */
  count(): Promise<number>
  /** Oldest first, partition by partition, a few at a time. @param after begins after this one */
  list(after?: LogPosition): AsyncGenerator<ParkedEntry>
  get(position: LogPosition): Promise<ParkedEntry | undefined>
  /** @returns whether it existed */
  drop(position: LogPosition): Promise<boolean>
}

export function parkedDeliveries(redis: RedisClient, keyPrefix: string): ParkedDeliveries {
  return {
    count: async () => {
      const partitions = await publishedPartitions(redis, keyPrefix)
      const counts = await Promise.all(partitions.map(({ parked }) => redis.xlen(parked)))
      return counts.reduce((sum, count) => sum + count, 0)
    },
    list: async function* (after) {
      const partitions = await readPartitionCount(redis, keyPrefix)
      const start = after === undefined ? undefined : parsePosition(after)
      for (let partition = start?.partition ?? 0; partition < partitions; partition++) {
        const from = partition === start?.partition ? `(${start.id}` : '-'
        const range = { stream: 'parked', partition, from, to: '+' } as const
        for await (const page of readEntries(redis, keyPrefix, range)) {
          for (const { id, event } of page) yield toParkedEntry(formatPosition(partition, id), event)
        }
      }
    },
    get: async position => {
      const { partition, id } = parsePosition(position)
      const [entry] = await redis.xrange(partitionKeys(keyPrefix, partition).parked, id, id)
      return entry && toParkedEntry(position, entry[1][entry[1].indexOf('event') + 1] ?? '')
    },
    drop: async position => {
      const { partition, id } = parsePosition(position)
      return (await redis.xdel(partitionKeys(keyPrefix, partition).parked, id)) === 1
    }
  }
}

const toParkedEntry = (position: LogPosition, event: string): ParkedEntry => ({
  position,
  parkedAtMs: entryTimeMs(parsePosition(position).id),
  delivery: readParked(event)
})

interface ReplayParkedOptions {
  readonly parked: ParkedDeliveries
  readonly eventLog: EventLog
  readonly sources: ReadonlyMap<string, Source>
  /** The signing keys of a source that are known here. */
  readonly keysOf: (source: string) => Promise<readonly SigningKey[]>
}

/**
 * Parses a parked delivery again. If it is an event by today's rules, it is appended to the log like a new delivery,
 * once, and is no longer parked.
 *
 * @returns why it was not replayed; `undefined` if it was
 * @throws the error of Redis
 */
export async function replayParked(
  { parked, eventLog, sources, keysOf }: ReplayParkedOptions,
  position: LogPosition
): Promise<string | undefined> {
  const entry = await parked.get(position)
  if (entry === undefined) return 'there is no such parked delivery'
  const { delivery } = entry
  if (delivery === undefined) return 'it is not a parked delivery of this service'
  const source = sources.get(delivery.source)
  if (source === undefined) return `its source ${delivery.source} is not configured`
  const body = openParked(delivery, await keysOf(source.name))
  if (typeof body === 'string') return body

  const { id, receivedAtMs, data } = delivery
  const kind = 'sealed' in data ? data.idKind : 'delivery'
  const parsed = parseDelivery(body, {
    source,
    receivedAtMs,
    timestamp: '',
    idHeader: undefined,
    parkedAs: { kind, id },
    fromDoctor: false
  })
  if (parsed.parked !== undefined) return `it is still not an event: ${parsed.parked}`
  try {
    // A duplicate is in the log already: delivered again meanwhile, or replayed earlier and then not removed.
    await eventLog.append(toLogEntry(parsed))
  } catch (error) {
    if (error instanceof UnavailableError) return error.message
    throw error
  }
  await parked.drop(position)
  return undefined
}
