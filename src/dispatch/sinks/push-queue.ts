import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, Queue, type QueueOptions } from 'bullmq'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import type { RedisClient } from '../../redis/connect.ts'

/** What waits in Redis to be posted to one consumer: a BullMQ queue, shared by all replicas. */
/** A queue as whoever looks or tidies up needs it. */
export interface OpenQueue {
  readonly queue: Queue<OutgoingEvent>
  /** Events that wait or are under way, and when the oldest entered the log. */
  outstanding(): Promise<{ readonly count: number; readonly oldestMs: number | undefined }>
}

export interface PushQueue extends OpenQueue {
  /**
   * Adds events, no more at once than there is room for, and waits for room. What stands at a position in the
   * log is in the queue at most once, however often it is added. An event larger than all the room there can be
   * is let in when nothing else is there.
   *
   * @throws when Redis does not answer, or the signal aborts; then some may be in
   */
  add(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<void>
}

export interface QueuePlace {
  /** Must not give up on a command: connected with the profile `blocking`. */
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumer: string
}

export interface PushQueueOptions extends QueuePlace {
  readonly attempts: number
  /** Events that may be in the queue. With several partitions, each is added to by itself: see ADD_BATCH. */
  readonly backlog: number
  /** Bytes of events that may be in the queue. */
  readonly backlogBytes: number
}

export const QUEUE_NAME = 'push'
/** BullMQ asks for a strategy by name; the worker has it. */
export const BACKOFF = { type: 'custom' }

const OUTSTANDING = ['waiting', 'active', 'delayed'] as const
/** How often a full queue is looked at: what leaves it is a request each, so soon enough. */
const ROOM_POLL_MS = 100
/** Jobs in one transaction: Redis does nothing else meanwhile. */
const ADD_BATCH = 100

interface Room {
  readonly events: number
  readonly bytes: number
  readonly isEmpty: boolean
}

/** All keys of a queue share a hash tag, or its scripts would be refused on a Cluster. */
export const queuePrefix = (keyPrefix: string, consumer: string): string => `${keyPrefix}push:{${consumer}}`

/** Opens a queue without leaving a trace of one that is not there. */
export const lookIntoQueue = (options: QueuePlace): OpenQueue => openQueue(options, { skipMetasUpdate: true })

export function openPushQueue(options: PushQueueOptions): PushQueue {
  const { attempts, backlog, backlogBytes } = options
  const { queue, outstanding } = openQueue(options, {
    defaultJobOptions: { attempts, backoff: BACKOFF, removeOnComplete: true, removeOnFail: false }
  })
  return {
    queue,
    outstanding,
    add: async (events, signal) => {
      for (let first = 0; first < events.length; ) {
        const batch = fitting(events, first, await readRoom())
        signal.throwIfAborted()
        if (batch.length === 0) await sleep(ROOM_POLL_MS, undefined, { signal })
        else await queue.addBulk(batch.map(data => ({ name: 'event', data, opts: { jobId: jobId(data) } })))
        first += batch.length
      }
    }
  }

  async function readRoom(): Promise<Room> {
    const count = await queue.getJobCountByTypes(...OUTSTANDING)
    // No need to list what is too many.
    if (count >= backlog) return { events: 0, bytes: 0, isEmpty: false }
    const ids = await queue.getRanges([...OUTSTANDING], 0, -1)
    const bytes = ids.reduce((sum, id) => sum + bytesOf(id), 0)
    return { events: backlog - ids.length, bytes: backlogBytes - bytes, isEmpty: ids.length === 0 }
  }
}

function openQueue(
  { redis, keyPrefix, consumer }: QueuePlace,
  more: Omit<QueueOptions, 'connection'>
): OpenQueue {
  const queue = new Queue<OutgoingEvent>(QUEUE_NAME, {
    connection: asConnection(redis),
    prefix: queuePrefix(keyPrefix, consumer),
    // Nobody reads BullMQ's own stream of events.
    streams: { events: { maxLen: 10 } },
    ...more
  })
  queue.on('error', () => {}) // told to whoever waits for a command
  return {
    queue,
    outstanding: async () => {
      const ids = await queue.getRanges([...OUTSTANDING], 0, -1)
      const times = ids.map(addedAtMs).filter(atMs => atMs !== undefined)
      return {
        count: ids.length,
        oldestMs: times.length === 0 ? undefined : times.reduce((least, atMs) => Math.min(least, atMs))
      }
    }
  }
}

/** As many events from `first` on as there is room for, in one call. */
function fitting(events: readonly OutgoingEvent[], first: number, room: Room): readonly OutgoingEvent[] {
  let end = first
  let bytes = 0
  for (; end < events.length && end - first < Math.min(ADD_BATCH, room.events); end++) {
    bytes += Buffer.byteLength(events[end]?.event ?? '')
    if (bytes > room.bytes && !(room.isEmpty && end === first)) break
  }
  return events.slice(first, end)
}

/**
 * `<partition>-<ms>-<sequence>-<bytes>`: where the event stands in the log, and its size, so that what a queue
 * holds can be told from its lists alone, whoever added it and whatever died meanwhile.
 */
const jobId = ({ position, event }: OutgoingEvent): string => `${position}-${Buffer.byteLength(event)}`

const bytesOf = (id: string): number => Number(/^\d+-\d+-\d+-(\d+)$/.exec(id)?.[1] ?? 0)

/** Redis' clock when the event entered the log. */
function addedAtMs(id: string): number | undefined {
  const atMs = /^\d+-(\d+)-\d+/.exec(id)?.[1]
  return atMs === undefined ? undefined : Number(atMs)
}

/** BullMQ's types were made for another copy of ioredis' types; it takes any ioredis client. */
export const asConnection = (redis: RedisClient): ConnectionOptions => redis
