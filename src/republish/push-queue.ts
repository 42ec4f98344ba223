import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, Queue } from 'bullmq'
import type { RedisClient } from '../redis/connect.ts'
import type { OutgoingEvent } from './sink.ts'

/** What waits in Redis to be posted to one consumer: a BullMQ queue, shared by all replicas. */
export interface PushQueue {
  readonly queue: Queue<OutgoingEvent>
  /**
   * Adds events, no more at once than there is room for, and waits for room. What stands at a position in the
   * log is in the queue at most once, however often it is added. An event larger than all the room there can be
   * is let in when nothing else is there.
   *
   * @throws when Redis does not answer, or the signal aborts; then some may be in
   */
  add(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<void>
  /** Events that wait or are under way, and when the oldest entered the log. */
  outstanding(): Promise<{ readonly count: number; readonly oldestMs: number | undefined }>
}

export interface PushQueueOptions {
  /** Must not give up on a command: connected in the patient manner. */
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumer: string
  readonly attempts: number
  /** Events that may be in the queue. With several partitions, each is added to by itself: see ADD_BATCH. */
  readonly backlog: number
  /** Bytes of events that may be in the queue. */
  readonly backlogBytes: number
  /** Only look: leaves no trace of a queue that is not there. */
  readonly readOnly?: boolean
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

export function openPushQueue(options: PushQueueOptions): PushQueue {
  const { redis, keyPrefix, consumer, attempts, backlog, backlogBytes, readOnly = false } = options
  const queue = new Queue<OutgoingEvent>(QUEUE_NAME, {
    connection: asConnection(redis),
    prefix: queuePrefix(keyPrefix, consumer),
    // Nobody reads BullMQ's own stream of events.
    skipMetasUpdate: readOnly,
    streams: { events: { maxLen: 10 } },
    defaultJobOptions: { attempts, backoff: BACKOFF, removeOnComplete: true, removeOnFail: false }
  })
  queue.on('error', () => {}) // told to whoever waits for a command
  return {
    queue,
    add: async (events, signal) => {
      for (let first = 0; first < events.length; ) {
        const batch = fitting(events, first, await readRoom())
        if (batch.length === 0) {
          signal.throwIfAborted()
          await sleep(ROOM_POLL_MS, undefined, { signal })
          continue
        }
        signal.throwIfAborted()
        await queue.addBulk(batch.map(data => ({ name: 'event', data, opts: { jobId: jobId(data) } })))
        first += batch.length
      }
    },
    outstanding: async () => {
      const ids = await queue.getRanges([...OUTSTANDING], 0, -1)
      const times = ids.map(addedAtMs).filter(atMs => atMs !== undefined)
      return {
        count: ids.length,
        oldestMs: times.length === 0 ? undefined : times.reduce((least, atMs) => Math.min(least, atMs))
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
