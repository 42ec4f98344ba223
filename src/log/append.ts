import { UnavailableError } from '../errors.ts'
import { failureReason } from '../redis/command.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { DurabilityWait } from '../redis/durability.ts'
import { createAppendCall, type WriterEntry, type WriterOutcome } from './append-call.ts'
import type { PartitionKeys } from './keys.ts'
import type { LogEntry } from './log-entry.ts'
import type { MemoryRelief } from './memory-relief.ts'
import type { MessageIndex } from './message-index.ts'
import { allPartitionKeys, partitionOf } from './partition.ts'

export type AppendOutcome = 'appended' | 'duplicate'

/**
 * The event log in Redis. Every entry is written here, with dedupe, length cap and durability: deliveries, and parked
 * deliveries that are replayed.
 */
export interface EventLog {
  /**
   * Remembers the event's id and appends the event, unless the id is remembered already. Resolves once that is
   * durable as configured. Concurrent appends to a partition share a call, and its calls run one after another, so
   * the log keeps the order of the calls of `append`.
   *
   * @throws UnavailableError if the event was not kept, or the outcome is unknown
   */
  append(entry: LogEntry): Promise<AppendOutcome>
  /**
   * Whether the id with this digest is remembered in the partition of `partitionKey`. Resolves with `true` once that
   * is durable as configured, so that the delivery can be answered as a duplicate.
   *
   * @throws UnavailableError if that is unknown
   */
  isKnown(digest: string, partitionKey: string): Promise<boolean>
}

export interface EventLogOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly partitions: number
  /** Entries per stream, at most. */
  readonly maxLength: number
  /** Where the metrics of messages are remembered; `undefined`: nowhere. */
  readonly messageIndex?: MessageIndex | undefined
  /** How to wait for the durability of a partition's writes; `undefined`: the reply of Redis is enough. */
  readonly durabilityWait: ((key: string) => DurabilityWait) | undefined
  /** Trims acknowledged entries of a full stream. @returns how many. Without it, a full stream stays full. */
  readonly trimForSpace?: (stream: string) => Promise<number>
  /** What to do when Redis refuses to append because its memory is full. */
  readonly memory?: Pick<MemoryRelief, 'isFull' | 'makeRoom'>
  /** Called after deliveries were parked in a stream. Never rejects. */
  readonly onParked?: (stream: string) => Promise<void>
  /** While Redis is down, an append fails at once instead of after a timeout. */
  readonly isRedisUp: () => boolean
  /** Called when a call to Redis has failed. */
  readonly onFailure?: (error: UnavailableError) => void
  /** Called with the duration of each call in seconds, and the trace of an entry in it if one is recorded. */
  readonly onCallDuration?: (seconds: number, traceId: string | undefined) => void
}

interface Pending {
  readonly entry: WriterEntry
  readonly queuedAtMs: number
  readonly resolve: (outcome: WriterOutcome) => void
  readonly reject: (error: UnavailableError) => void
}

/** Redis is blocked during a call. At about 15 µs per entry this keeps it below 2 ms. */
const MAX_BATCH_ENTRIES = 128
const MAX_BATCH_CHARACTERS = 4 * 1024 * 1024
/** Entries that may wait in this process. More are answered at once as an overload. */
const MAX_WAITING = 10_000
/** With the command timeout of 2 s this stays below the deadline of a delivery (3.35 s). */
const MAX_WAIT_MS = 1300
/** Other writers can use the memory that was freed. After this many attempts Redis counts as full. */
const MAX_OUT_OF_MEMORY = 3

export function createEventLog(options: EventLogOptions): EventLog {
  const writers = allPartitionKeys(options.keyPrefix, options.partitions).map(keys =>
    createPartitionWriter(keys, options)
  )
  const run = (partitionKey: string, entry: WriterEntry): Promise<WriterOutcome> => {
    if (!options.isRedisUp()) throw new UnavailableError('redis_down')
    const write = writers[partitionOf(partitionKey, writers.length)]
    if (write === undefined) throw new RangeError('no such partition')
    return write(entry)
  }
  return {
    append: async entry => ((await run(entry.partitionKey, entry)) === 'appended' ? 'appended' : 'duplicate'),
    isKnown: async (digest, partitionKey) => (await run(partitionKey, { ...LOOKUP, digest })) === 'duplicate'
  }
}

const LOOKUP = {
  stream: undefined,
  type: '',
  event: '',
  happenedAtMs: undefined,
  messageId: undefined,
  backfilled: false
}

/** Writes to one partition: a queue, and at most one call in flight. */
function createPartitionWriter(keys: PartitionKeys, options: EventLogOptions) {
  const { redis, maxLength, trimForSpace, memory, onFailure, onCallDuration } = options
  const durable = options.durabilityWait?.(keys.events)
  const waiting: Pending[] = []
  const call = createAppendCall(keys, { redis, maxLength, durable, messageIndex: options.messageIndex })
  let running = false

  return (entry: WriterEntry): Promise<WriterOutcome> =>
    new Promise((resolve, reject) => {
      if (waiting.length >= MAX_WAITING) return reject(new UnavailableError('overloaded'))
      waiting.push({ entry, queuedAtMs: performance.now(), resolve, reject })
      if (running) return
      running = true
      // Entries that arrive in this turn of the event loop share the call.
      setImmediate(drain)
    })

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = takeBatch()
      if (batch.length > 0) await runBatch(batch)
    }
    running = false
  }

  function takeBatch(): Pending[] {
    const batch: Pending[] = []
    const oldestMs = performance.now() - MAX_WAIT_MS
    let characters = 0
    let taken = 0
    for (const pending of waiting) {
      characters += pending.entry.event.length
      if (batch.length === MAX_BATCH_ENTRIES || (batch.length > 0 && characters > MAX_BATCH_CHARACTERS)) break
      taken++
      if (pending.queuedAtMs < oldestMs) pending.reject(new UnavailableError('overloaded'))
      else batch.push(pending)
    }
    waiting.splice(0, taken)
    return batch
  }

  /** Runs one batch and settles each of its entries. Never rejects. */
  async function runBatch(batch: readonly Pending[]): Promise<void> {
    const startedMs = performance.now()
    try {
      const replies = await appendAll(batch.map(pending => pending.entry))
      if (replies.some(reply => reply !== 'unknown')) await durable?.wait()
      for (const [index, pending] of batch.entries()) {
        const outcome = replies[index]
        if (outcome === undefined) pending.reject(new UnavailableError('log_full'))
        else pending.resolve(outcome)
      }
      if (batch.some(({ entry }) => entry.stream === 'parked')) void options.onParked?.(keys.parked)
    } catch (error) {
      // The message of a failed command stays in the cause, because it may repeat arguments.
      const unavailable =
        error instanceof UnavailableError
          ? error
          : new UnavailableError(failureReason(error), { cause: error })
      onFailure?.(unavailable)
      for (const pending of batch) pending.reject(unavailable)
    } finally {
      const seconds = (performance.now() - startedMs) / 1000
      onCallDuration?.(seconds, batch.find(({ entry }) => entry.traceId !== undefined)?.entry.traceId)
    }
  }

  /** The outcome of each entry; `undefined` where its stream is full. */
  async function appendAll(entries: readonly WriterEntry[]): Promise<(WriterOutcome | undefined)[]> {
    const replies = await callWithRoom(entries)
    const full = entries.filter((_, index) => replies[index] === undefined)
    if (full.length === 0) return replies

    const streams = new Set(full.flatMap(({ stream }) => (stream === undefined ? [] : keys[stream])))
    const removed = await Promise.all([...streams].map(stream => trimForSpace?.(stream) ?? 0))
    if (removed.every(count => count === 0)) return replies
    const retried = await callWithRoom(full)
    return replies.map(outcome => outcome ?? retried.shift())
  }

  /** Redis refuses a call as a whole when its memory is full. The call is repeated once there is space. */
  async function callWithRoom(entries: readonly WriterEntry[]): Promise<(WriterOutcome | undefined)[]> {
    if (memory?.isFull(keys.events) && !(await memory.makeRoom(keys.events))) {
      throw new UnavailableError('redis_full')
    }
    for (let refusals = 1; ; refusals++) {
      try {
        return await call(entries)
      } catch (error) {
        if (refusals === MAX_OUT_OF_MEMORY || failureReason(error) !== 'redis_full') throw error
        if (!(await memory?.makeRoom(keys.events))) throw error
      }
    }
  }
}
