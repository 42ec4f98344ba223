import { UnavailableError, type UnavailableReason } from '../errors.ts'
import { TIMED_OUT } from '../redis/command.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { DurabilityWait } from '../redis/durability.ts'
import { loadScript, runScript } from '../redis/script.ts'
import {
  bucketKeysOf,
  FULL_BUCKET,
  formatGenerations,
  type Generations,
  grow,
  memberField,
  parseGenerations,
  serverTimeMs,
  swapGenerations
} from './dedupe-index.ts'
import { type PartitionKeys, partitionKeys } from './keys.ts'
import type { LogEntry } from './log-entry.ts'
import type { MemoryRelief } from './memory-relief.ts'
import { partitionOf } from './partition.ts'

export type AppendOutcome = 'appended' | 'duplicate'

/** The event log in Redis: the one place that writes events. */
export interface EventLog {
  /**
   * Remembers the event's id and appends the event, unless it is remembered already.
   *
   * Resolves once that is durable as configured. Appends of one moment and partition share one call, and the
   * calls of a partition follow each other, so what is appended keeps the order in which it came.
   *
   * @throws UnavailableError when it was not kept, or nobody can know
   */
  append(entry: LogEntry): Promise<AppendOutcome>
  /**
   * Is an event with this digest remembered in the partition of `partitionKey`? Resolves with `true` once that is
   * durable as configured, so a known event can be answered as a duplicate.
   *
   * @throws UnavailableError when nobody can know
   */
  isKnown(digest: string, partitionKey: string): Promise<boolean>
}

export interface EventLogOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly partitions: number
  /** Entries a stream may hold. */
  readonly maxLength: number
  /** How a partition's writes are awaited; `undefined` where Redis' own answer is promise enough. */
  readonly durabilityWait: ((key: string) => DurabilityWait) | undefined
  /** Makes room in a full stream. @returns how many entries were removed */
  readonly makeRoom: (stream: string) => Promise<number>
  /** What to do about a Redis that refuses to append to a stream for want of memory. */
  readonly memory?: Pick<MemoryRelief, 'isFull' | 'makeRoom'>
  /** Called after deliveries were parked in a stream. Never rejects. */
  readonly onParked?: (stream: string) => Promise<void>
  /** Does Redis answer at all? While it does not, an append fails at once instead of after a timeout. */
  readonly isRedisUp: () => boolean
  /** Called when Redis did not answer a call in time. */
  readonly onTimeout?: () => void
  /** Called with the duration of each call, in seconds. */
  readonly onCall?: (seconds: number) => void
}

/** An entry to be appended, or one that is only looked up: then it has no stream. */
type LaneEntry = Pick<LogEntry, 'digest' | 'type' | 'event'> & {
  readonly stream: LogEntry['stream'] | undefined
}
type LaneOutcome = AppendOutcome | 'unknown'

interface Pending {
  readonly entry: LaneEntry
  readonly queuedAtMs: number
  readonly resolve: (outcome: LaneOutcome) => void
  readonly reject: (error: UnavailableError) => void
}

/** Redis does nothing else during a call: at about 15 µs an entry this keeps it below 2 ms. */
const MAX_BATCH_ENTRIES = 128
const MAX_BATCH_CHARACTERS = 4 * 1024 * 1024
/** Entries that may wait in this process; more are an overload, told at once. */
const MAX_WAITING = 10_000
/** With the command's own timeout of 2 s this stays below the deadline of a delivery (3.35 s). */
const MAX_WAIT_MS = 1300
/** A list of generations that changes more often during one call is a fault, not a race. */
const MAX_STALE = 5
/** Room in memory can be taken by others before we get to it; after this many times it is full for our purposes. */
const MAX_OUT_OF_MEMORY = 3

/** By the script's reply; a stream that is full has no outcome yet. */
const outcomes: readonly (LaneOutcome | undefined)[] = ['duplicate', 'appended', undefined, 'unknown']

const appendScript = loadScript(new URL('append.lua', import.meta.url))

export function createEventLog(options: EventLogOptions): EventLog {
  const lanes = Array.from({ length: options.partitions }, (_, partition) =>
    createLane(partitionKeys(options.keyPrefix, partition), options)
  )
  const run = (partitionKey: string, entry: LaneEntry): Promise<LaneOutcome> => {
    if (!options.isRedisUp()) return Promise.reject(new UnavailableError('redis_down'))
    const lane = lanes[partitionOf(partitionKey, lanes.length)]
    return lane === undefined ? Promise.reject(new RangeError('no such partition')) : lane(entry)
  }
  return {
    append: async entry => ((await run(entry.partitionKey, entry)) === 'appended' ? 'appended' : 'duplicate'),
    isKnown: async (digest, partitionKey) =>
      (await run(partitionKey, { digest, stream: undefined, type: '', event: '' })) === 'duplicate'
  }
}

/** One partition's way into Redis: a queue and at most one call under way. */
function createLane(keys: PartitionKeys, options: EventLogOptions) {
  const { redis, maxLength, makeRoom, memory, onTimeout, onCall } = options
  const durable = options.durabilityWait?.(keys.events)
  const waiting: Pending[] = []
  let generations: Generations = []
  let running = false

  return (entry: LaneEntry): Promise<LaneOutcome> =>
    new Promise((resolve, reject) => {
      if (waiting.length >= MAX_WAITING) return reject(new UnavailableError('overloaded'))
      waiting.push({ entry, queuedAtMs: performance.now(), resolve, reject })
      if (running) return
      running = true
      // What else arrives in this turn of the event loop goes along in the same call.
      setImmediate(drain)
    })

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const batch = takeBatch()
      if (batch.length > 0) await settle(batch)
    }
    running = false
  }

  function takeBatch(): Pending[] {
    const batch: Pending[] = []
    const oldest = performance.now() - MAX_WAIT_MS
    let characters = 0
    let taken = 0
    for (const pending of waiting) {
      characters += pending.entry.event.length
      if (batch.length === MAX_BATCH_ENTRIES || (batch.length > 0 && characters > MAX_BATCH_CHARACTERS)) break
      taken++
      if (pending.queuedAtMs < oldest) pending.reject(new UnavailableError('overloaded'))
      else batch.push(pending)
    }
    waiting.splice(0, taken)
    return batch
  }

  /** Runs one batch and answers each of its entries. Never rejects. */
  async function settle(batch: readonly Pending[]): Promise<void> {
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
      const unavailable = error instanceof UnavailableError ? error : asUnavailable(error)
      if (unavailable.reason === 'redis_timeout') onTimeout?.()
      for (const pending of batch) pending.reject(unavailable)
    } finally {
      onCall?.((performance.now() - startedMs) / 1000)
    }
  }

  /** The outcome of each entry; `undefined` where its stream is full. */
  async function appendAll(entries: readonly LaneEntry[]): Promise<(LaneOutcome | undefined)[]> {
    const replies = await callWithRoom(entries)
    const full = entries.filter((_, index) => replies[index] === undefined)
    if (full.length === 0) return replies

    const streams = new Set(full.flatMap(({ stream }) => (stream === undefined ? [] : keys[stream])))
    const removed = await Promise.all([...streams].map(stream => makeRoom(stream)))
    if (removed.every(count => count === 0)) return replies
    const retried = await callWithRoom(full)
    return replies.map(outcome => outcome ?? retried.shift())
  }

  /** A call that Redis refuses for want of memory has done nothing: it is made again once there is room. */
  async function callWithRoom(entries: readonly LaneEntry[]): Promise<(LaneOutcome | undefined)[]> {
    if (memory?.isFull(keys.events) && !(await memory.makeRoom(keys.events))) {
      throw new UnavailableError('redis_full')
    }
    for (let refusals = 1; ; refusals++) {
      try {
        return await call(entries)
      } catch (error) {
        if (refusals === MAX_OUT_OF_MEMORY || !isOutOfMemory(error)) throw error
        if (!(await memory?.makeRoom(keys.events))) throw error
      }
    }
  }

  async function call(entries: readonly LaneEntry[]): Promise<(LaneOutcome | undefined)[]> {
    for (let attempt = 0; attempt < MAX_STALE; attempt++) {
      const [status, detail, ...replies] = await runAppend(entries)
      if (status === 'done') {
        if (Number(detail) >= FULL_BUCKET) await openLargerGeneration()
        return replies.map(reply => outcomes[Number(reply)])
      }
      generations = parseGenerations(String(detail))
      if (generations.length === 0) await openLargerGeneration()
    }
    throw new UnavailableError('redis_error')
  }

  async function runAppend(entries: readonly LaneEntry[]): Promise<readonly unknown[]> {
    const scriptKeys = [keys.generations, keys.events, keys.parked]
    const args: (string | number)[] = [formatGenerations(generations), maxLength, durable ? '1' : '0']
    for (const entry of entries) {
      scriptKeys.push(...bucketKeysOf(keys, generations, entry.digest))
      args.push(memberField(entry.digest), streamArgument(entry), entry.type, entry.event)
    }
    const connection = durable === undefined ? redis : await durable.connection()
    return (await runScript(connection, appendScript, scriptKeys, args)) as unknown[]
  }

  async function openLargerGeneration(): Promise<void> {
    const next = grow(generations, await serverTimeMs(redis, keys))
    generations = await swapGenerations(redis, keys, generations, next)
  }
}

/** The index of the stream among the script's keys. */
function streamArgument({ stream }: LaneEntry): number {
  if (stream === undefined) return 0
  return stream === 'events' ? 2 : 3
}

/** What a failed command says about Redis. Its text stays in the cause: it may repeat arguments. */
function asUnavailable(cause: unknown): UnavailableError {
  const message = cause instanceof Error ? cause.message : ''
  return new UnavailableError(reasonOf(message), { cause })
}

const OUT_OF_MEMORY = 'OOM '

const isOutOfMemory = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith(OUT_OF_MEMORY)

function reasonOf(message: string): UnavailableReason {
  if (message === TIMED_OUT) return 'redis_timeout'
  if (message.startsWith(OUT_OF_MEMORY)) return 'redis_full'
  return /^[A-Z]+ /.test(message) ? 'redis_error' : 'redis_down'
}
