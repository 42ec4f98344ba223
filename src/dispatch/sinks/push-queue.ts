// Tested by test/dispatch/sinks/http.slow.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, Queue, type QueueOptions } from 'bullmq'
import { LAST_ATTEMPTS } from '../../group/dead-letters.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { HttpSettings } from '../../settings/consumers-file.ts'

/** The events in Redis that wait to be posted to one consumer: a BullMQ queue, shared by all replicas. */
export interface OpenQueue {
  readonly queue: Queue<OutgoingEvent>
  /** How many events wait or are in flight, and when the oldest entered the log. */
  outstanding(): Promise<{ readonly count: number; readonly oldestMs: number | undefined }>
}

export interface PushQueue extends OpenQueue {
  /**
   * Adds events, and waits for room if the queue is full. An entry of the log is in the queue at most once, however
   * often it is added. An event larger than the queue's limit is added when the queue is empty.
   *
   * @throws when Redis does not answer, or the signal aborts; some events may have been added
   */
  add(events: readonly OutgoingEvent[], signal: AbortSignal): Promise<void>
}

export const QUEUE_NAME = 'push'

const OUTSTANDING = ['waiting', 'active', 'delayed'] as const
/** How often a full queue is checked for room. Each event that leaves it takes a request, so this is soon enough. */
const ROOM_POLL_MS = 100
/** Jobs per transaction: it blocks Redis. With several partitions, the queue can exceed its limits by as much each. */
const ADD_BATCH = 100

interface Room {
  readonly events: number
  readonly bytes: number
  readonly isEmpty: boolean
}

/** All keys of a queue share a hash tag; otherwise a Cluster would reject its scripts. */
export const queuePrefix = (keyPrefix: string, consumer: string): string => `${keyPrefix}push:{${consumer}}`

/** Each queue leaves listeners on its connection, and the status of all consumers is read every few seconds. */
const inspected = new WeakMap<RedisClient, Map<string, OpenQueue>>()

/** Opens a queue to read or remove it, once per connection. A queue that does not exist is not created. Do not close it. */
export function inspectQueue(redis: RedisClient, keyPrefix: string, consumer: string): OpenQueue {
  const queues = inspected.get(redis) ?? new Map<string, OpenQueue>()
  inspected.set(redis, queues)
  const prefix = queuePrefix(keyPrefix, consumer)
  const queue = queues.get(prefix) ?? openQueue(redis, keyPrefix, consumer, { skipMetasUpdate: true })
  queues.set(prefix, queue)
  return queue
}

/** @param redis opened with the profile `blocking`: BullMQ must not give up on a command */
export function openPushQueue(redis: RedisClient, keyPrefix: string, settings: HttpSettings): PushQueue {
  const { name, maxAttempts, backlog, backlogBytes } = settings
  const { queue, outstanding } = openQueue(redis, keyPrefix, name, {
    defaultJobOptions: {
      attempts: maxAttempts,
      // `custom`: the worker computes the delay.
      backoff: { type: 'custom' },
      removeOnComplete: true,
      removeOnFail: false,
      // Where the earlier attempts are kept: see AttemptFailed. The last one is not among them.
      stackTraceLimit: LAST_ATTEMPTS - 1
    }
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
    if (count >= backlog) return { events: 0, bytes: 0, isEmpty: false }
    const ids = await queue.getRanges([...OUTSTANDING], 0, -1)
    const bytes = ids.reduce((sum, id) => sum + bytesOf(id), 0)
    return { events: backlog - ids.length, bytes: backlogBytes - bytes, isEmpty: ids.length === 0 }
  }
}

function openQueue(
  redis: RedisClient,
  keyPrefix: string,
  consumer: string,
  options: Omit<QueueOptions, 'connection'>
): OpenQueue {
  const queue = new Queue<OutgoingEvent>(QUEUE_NAME, {
    connection: asConnection(redis),
    prefix: queuePrefix(keyPrefix, consumer),
    // BullMQ's own stream of events has no reader.
    streams: { events: { maxLen: 10 } },
    ...options
  })
  // Errors reach the callers of the commands. Without a listener an 'error' event would crash the process.
  queue.on('error', () => {})
  return {
    queue,
    outstanding: async () => {
      const ids = await queue.getRanges([...OUTSTANDING], 0, -1)
      // Not Math.min(...): a queue can hold more ids than a call may have arguments.
      const oldestMs = ids.reduce((least, id) => Math.min(least, loggedAtMs(id)), Number.POSITIVE_INFINITY)
      return { count: ids.length, oldestMs: oldestMs === Number.POSITIVE_INFINITY ? undefined : oldestMs }
    }
  }
}

/** As many events from index `first` on as there is room for, in one call. */
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
 * `<partition>-<ms>-<sequence>-<bytes>`: position in the log, and size. So the size and the age of a queue follow from
 * its lists of ids alone, also after a crash.
 */
export const jobId = ({ position, event }: Pick<OutgoingEvent, 'position' | 'event'>): string =>
  `${position}-${Buffer.byteLength(event)}`

const bytesOf = (id: string): number => Number(/^\d+-\d+-\d+-(\d+)$/.exec(id)?.[1] ?? 0)

/** When the event entered the log, by the clock of Redis. */
const loggedAtMs = (id: string): number => Number(/^\d+-(\d+)-\d+/.exec(id)?.[1] ?? Number.POSITIVE_INFINITY)

/** BullMQ's types refer to another copy of ioredis' types; it accepts any ioredis client. */
export const asConnection = (redis: RedisClient): ConnectionOptions => redis
