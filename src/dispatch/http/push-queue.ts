// Tested by test/dispatch/http/http-consumer.slow.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { type ConnectionOptions, type Job, Queue, type QueueOptions } from 'bullmq'
import { LAST_ATTEMPTS } from '../../group/dead-letters.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import { type PastAttempt, parsePastAttempts } from '../../group/past-attempt.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { HttpSettings } from '../../settings/http-consumer.ts'

/** An event in the queue. */
export interface QueuedEvent extends OutgoingEvent {
  /** Attempts before it was queued; absent: none. */
  readonly attemptsBefore?: number
  /** The last of them, as of `formatPastAttempt`. */
  readonly lastAttempts?: readonly string[]
}

/** An event and when its next attempt is due. */
export interface QueueItem {
  readonly event: QueuedEvent
  readonly delayMs: number
}

/** The events in Redis that wait for another attempt: a BullMQ queue per consumer, shared by all replicas. */
export interface OpenQueue {
  readonly queue: Queue<QueuedEvent>
  /** How many events wait or are in flight, and when the oldest entered the log. */
  outstanding(): Promise<{ readonly count: number; readonly oldestMs: number | undefined }>
}

export interface PushQueue extends OpenQueue {
  /**
   * Adds an event, and waits for room if the queue is full. An entry of the log is in the queue at most once, however
   * often it is added. An event larger than the queue's limit is added when the queue is empty. Concurrent calls share
   * the commands.
   *
   * @throws when Redis does not answer, or the signal aborts while the queue is full; it may have been added
   */
  add(item: QueueItem, signal: AbortSignal): Promise<void>
}

export const QUEUE_NAME = 'push'

const OUTSTANDING = ['waiting', 'active', 'delayed'] as const
/** How often a full queue is checked for room. */
const ROOM_POLL_MS = 100
/** Jobs per transaction: it blocks Redis. With several replicas, the queue can exceed its limits by as much each. */
const ADD_BATCH = 100

interface WaitingItem {
  readonly item: QueueItem
  readonly signal: AbortSignal
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

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

/**
 * @param redis opened with the profile `blocking`: BullMQ must not give up on a command
 * @param onFull called when events wait for room, with a promise that resolves when none does
 */
export function openPushQueue(
  redis: RedisClient,
  keyPrefix: string,
  settings: HttpSettings,
  onFull: (room: Promise<void>) => void = () => {}
): PushQueue {
  const { name, maxAttempts, backlog, backlogBytes } = settings
  const { queue, outstanding } = openQueue(redis, keyPrefix, name, {
    defaultJobOptions: {
      // `custom`: the worker computes the delay.
      backoff: { type: 'custom' },
      removeOnComplete: true,
      removeOnFail: false,
      // Where the earlier attempts are kept: see AttemptFailed. The last one is not among them.
      stackTraceLimit: LAST_ATTEMPTS - 1
    }
  })
  const waiting = new Set<WaitingItem>()
  let adding = false
  return {
    queue,
    outstanding,
    add: (item, signal) =>
      new Promise((resolve, reject) => {
        waiting.add({ item, signal, resolve, reject })
        if (!adding) void addWaiting()
      })
  }

  async function addWaiting(): Promise<void> {
    adding = true
    let onRoom: (() => void) | undefined
    while (waiting.size > 0) {
      const items = [...waiting]
      try {
        const batch = fitting(items, await readRoom())
        if (batch.length > 0) {
          await queue.addBulk(batch.map(({ item }) => toJob(item, maxAttempts)))
          settle(batch, ({ resolve }) => resolve())
          continue
        }
        if (onRoom === undefined) onFull(new Promise(resolve => (onRoom = resolve)))
        settle(
          items.filter(({ signal }) => signal.aborted),
          ({ reject }) => reject(new Error('the queue of failed events is full'))
        )
        if (waiting.size > 0) await sleep(ROOM_POLL_MS)
      } catch (error) {
        settle(items, ({ reject }) => reject(error))
      }
    }
    adding = false
    onRoom?.()
  }

  function settle(items: readonly WaitingItem[], end: (item: WaitingItem) => void): void {
    for (const item of items) {
      waiting.delete(item)
      end(item)
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

const toJob = ({ event, delayMs }: QueueItem, maxAttempts: number) => ({
  name: 'event',
  data: event,
  opts: { jobId: jobId(event), delay: delayMs, attempts: maxAttempts - (event.attemptsBefore ?? 0) }
})

function openQueue(
  redis: RedisClient,
  keyPrefix: string,
  consumer: string,
  options: Omit<QueueOptions, 'connection'>
): OpenQueue {
  const queue = new Queue<QueuedEvent>(QUEUE_NAME, {
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

/** As many items as there is room for, in one call. */
function fitting(items: readonly WaitingItem[], room: Room): readonly WaitingItem[] {
  let end = 0
  let bytes = 0
  for (; end < Math.min(items.length, ADD_BATCH, room.events); end++) {
    bytes += Buffer.byteLength(items[end]?.item.event.event ?? '')
    if (bytes > room.bytes && !(room.isEmpty && end === 0)) break
  }
  return items.slice(0, end)
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

/** All earlier attempts of an event in the queue that are known. */
export const pastAttempts = ({ data, stacktrace }: Job<QueuedEvent>): readonly PastAttempt[] =>
  parsePastAttempts([...(data.lastAttempts ?? []), ...(stacktrace ?? [])])

export const attemptsMade = ({ data, attemptsMade }: Job<QueuedEvent>): number =>
  (data.attemptsBefore ?? 0) + attemptsMade
