import { mapLimited } from '../../async/map-limited.ts'
import { SOURCE_PREFIX } from '../../event-types.ts'
import { type CloudEvent, parseCloudEvent } from '../../group/cloud-event.ts'
import { partitionKeys } from '../../log/keys.ts'
import {
  entryTimeMs,
  formatPosition,
  isPosition,
  type LogPosition,
  parsePosition
} from '../../log/position.ts'
import type { StreamEntry } from '../../log/read-range.ts'
import { groupsOf } from '../../log/stats.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { flatToMap } from '../../redis/reply.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { type ConsumerPath, consumerPath } from './consumer-path.ts'
import { type FoundLetter, lettersOf } from './dead-letters-of.ts'
import { searchEvents } from './search.ts'
import { CLOCK_DIFFERENCE_MS, type SearchOptions } from './walk-log.ts'

/** An event at one position of the log, and what each consumer did with it. */
export interface EventPath {
  readonly position: LogPosition
  readonly id: string
  /** Name of the source. */
  readonly source: string
  /** CloudEvents type. */
  readonly type: string
  /** The CloudEvent as JSON text. */
  readonly event: string
  /** When it was appended, by the clock of Redis, unix milliseconds. */
  readonly appendedAtMs: number
  /** It is no longer in the log: the event comes from a dead letter. */
  readonly isTrimmed: boolean
  readonly consumers: readonly ConsumerPath[]
}

interface EventPathOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly dedupeWindowMs: number
  /** Those of `CONSUMERS_FILE`. */
  readonly consumers: readonly ConsumerSettings[]
}

/** More positions of one id are not shown. */
const MAX_POSITIONS = 20
/** Each reads for up to 2 ms in Redis. */
const CONSUMERS_AT_ONCE = 4

/**
 * Everything that is known about an event: its positions in the log, and per consumer its state and the attempts. The
 * log is searched as by `searchEvents`; an event that is only a dead letter any more is found too.
 *
 * @param name an event id, `<source>/<event id>` as in the header `webhook-id`, or a position in the log
 * @returns newest first; several if the id was appended again after the dedupe window, or two sources have it
 * @throws the error of Redis
 */
export async function eventPath(
  options: EventPathOptions,
  name: string,
  search: SearchOptions = {}
): Promise<readonly EventPath[]> {
  if (isPosition(name)) {
    const entry = await readEntry(options, name)
    const event = entry && parseCloudEvent(entry.event)
    if (entry !== undefined && event !== undefined) {
      const letters = await lettersOf(options, event.id, entryTimeMs(entry.id) - CLOCK_DIFFERENCE_MS)
      return pathOf(options, entry, false, letters)
    }
  }
  const byId = await ofId(options, name, search)
  if (byId.length > 0) return byId
  const [, source, id = ''] = /^([^/]+)\/(.+)$/s.exec(name) ?? []
  if (source === undefined) return []
  return (await ofId(options, id, search)).filter(path => path.source === source)
}

async function ofId(
  options: EventPathOptions,
  id: string,
  search: SearchOptions
): Promise<readonly EventPath[]> {
  const { entries } = await searchEvents(options, { ids: [id], count: MAX_POSITIONS }, search)
  return withConsumers(options, id, entries)
}

async function readEntry(
  { redis, keyPrefix }: EventPathOptions,
  position: LogPosition
): Promise<StreamEntry | undefined> {
  const { partition, id } = parsePosition(position)
  const [found] = await redis.xrange(partitionKeys(keyPrefix, partition).events, id, id)
  if (found === undefined) return undefined
  const fields = flatToMap(found[1])
  return { partition, id, type: fields.get('type') ?? '', event: fields.get('event') ?? '' }
}

async function withConsumers(
  options: EventPathOptions,
  eventId: string,
  entries: readonly StreamEntry[]
): Promise<readonly EventPath[]> {
  const letters = await lettersOf(options, eventId)
  const paths: EventPath[] = []
  for (const entry of entries) paths.push(...(await pathOf(options, entry, false, letters)))
  const known = new Set(entries.map(({ partition, id }) => formatPosition(partition, id)))
  for (const { letter } of letters) {
    if (known.has(letter.position)) continue
    known.add(letter.position)
    const entry = { ...parsePosition(letter.position), type: letter.type, event: letter.event }
    paths.push(...(await pathOf(options, entry, true, letters)))
  }
  return paths
}

async function pathOf(
  options: EventPathOptions,
  entry: StreamEntry,
  isTrimmed: boolean,
  letters: readonly FoundLetter[]
): Promise<readonly EventPath[]> {
  const event: CloudEvent | undefined = parseCloudEvent(entry.event)
  if (event === undefined) return []
  const { redis, keyPrefix, consumers } = options
  const position = formatPosition(entry.partition, entry.id)
  const groups = await groupsOf(redis, partitionKeys(keyPrefix, entry.partition).events)
  const ofPosition = letters.filter(({ letter }) => letter.position === position)
  const names = new Set([
    ...consumers.map(({ name }) => name),
    ...groups.map(({ name }) => name),
    ...ofPosition.map(({ consumer }) => consumer)
  ])
  const states = await mapLimited([...names], CONSUMERS_AT_ONCE, name =>
    consumerPath({
      redis,
      keyPrefix,
      name,
      settings: consumers.find(consumer => consumer.name === name),
      group: groups.find(group => group.name === name),
      letter: ofPosition.find(({ consumer }) => consumer === name)?.letter,
      entry,
      eventId: event.id,
      isTrimmed
    })
  )
  return [
    {
      position,
      id: event.id,
      source: event.source.slice(SOURCE_PREFIX.length),
      type: event.type,
      event: entry.event,
      appendedAtMs: entryTimeMs(entry.id),
      isTrimmed,
      consumers: states
    }
  ]
}
