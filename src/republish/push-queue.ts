import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, Queue } from 'bullmq'
import type { RedisClient } from '../redis/connect.ts'
import type { OutgoingEvent } from './sink.ts'

/** What waits in Redis to be posted to one consumer: a BullMQ queue, shared by all replicas. */
export interface PushQueue {
  readonly queue: Queue<OutgoingEvent>
  /**
   * Adds events, no more at once than there is room for, and waits for room. What stands at a position in the
   * log is in the queue at most once, however often it is added.
   *
   * @throws when Redis does not answer, or the signal aborts; then some may be in
   */
  add(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<void>
  /** Events that wait or are under way, and the position of the oldest. */
  outstanding(): Promise<{ readonly count: number; readonly oldestMs: number | undefined }>
}

export interface PushQueueOptions {
  /** Must not give up on a command: see queue-connection.ts. */
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumer: string
  readonly attempts: number
  readonly backlog: number
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

/** All keys of a queue share a hash tag, or its scripts would be refused on a Cluster. */
export const queuePrefix = (keyPrefix: string, consumer: string): string => `${keyPrefix}push:{${consumer}}`

export function openPushQueue(options: PushQueueOptions): PushQueue {
  const { redis, keyPrefix, consumer, attempts, backlog, readOnly = false } = options
  const queue = new Queue<OutgoingEvent>(QUEUE_NAME, {
    connection: asConnection(redis),
    prefix: queuePrefix(keyPrefix, consumer),
    // Nobody reads BullMQ's own stream of events.
    skipMetasUpdate: readOnly,
    streams: { events: { maxLen: 10 } },
    defaultJobOptions: { attempts, backoff: BACKOFF, removeOnComplete: true, removeOnFail: false }
  })
  queue.on('error', () => {}) // told to whoever waits for a command
  const count = (): Promise<number> => queue.getJobCountByTypes(...OUTSTANDING)

  return {
    queue,
    add: async (events, signal) => {
      for (let first = 0; first < events.length; ) {
        const room = Math.min(ADD_BATCH, await waitForRoom(signal))
        const batch = events.slice(first, first + room)
        await queue.addBulk(batch.map(data => ({ name: 'event', data, opts: { jobId: data.position } })))
        first += batch.length
      }
    },
    outstanding: async () => {
      const positions = await queue.getRanges([...OUTSTANDING], 0, -1)
      const times = positions.map(addedAtMs).filter(atMs => atMs !== undefined)
      return {
        count: positions.length,
        oldestMs: times.length === 0 ? undefined : times.reduce((least, atMs) => Math.min(least, atMs))
      }
    }
  }

  async function waitForRoom(signal: AbortSignal): Promise<number> {
    for (;;) {
      signal.throwIfAborted()
      const room = backlog - (await count())
      if (room > 0) return room
      await sleep(ROOM_POLL_MS, undefined, { signal })
    }
  }
}

/** Redis' clock when the event entered the log: it stands in the position, `<partition>-<ms>-<sequence>`. */
function addedAtMs(position: string): number | undefined {
  const atMs = /^\d+-(\d+)-\d+/.exec(position)?.[1]
  return atMs === undefined ? undefined : Number(atMs)
}

/** BullMQ's types were made for another copy of ioredis' types; it takes any ioredis client. */
export const asConnection = (redis: RedisClient): ConnectionOptions => redis
