import { UnavailableError, type UnavailableReason } from '../errors.ts'
import type { LogEntry } from '../receive/event.ts'
import { TIMED_OUT } from '../redis/command.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { DurabilityWait } from '../redis/durability.ts'
import { loadScript, runScript } from '../redis/script.ts'
import {
  afterFull,
  bucketKeys,
  FULL_BUCKET,
  fieldOf,
  formatGenerations,
  type Generations,
  parseGenerations,
  serverTimeMs,
  swapGenerations
} from './generations.ts'
import { type PartitionKeys, partitionKeys } from './keys.ts'
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
}

export interface EventLogOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly partitions: number
  /** Entries a stream may hold. */
  readonly maxLength: number
  /** How a partition's writes are awaited; `undefined` where Redis' own answer is promise enough. */
  readonly durabilityWait: ((keys: PartitionKeys) => DurabilityWait) | undefined
  /** Makes room in a full stream. @returns how many entries were removed */
  readonly makeRoom: (stream: string) => Promise<number>
  /** Does Redis answer at all? While it does not, an append fails at once instead of after a timeout. */
  readonly isRedisUp: () => boolean
  /** Called when Redis did not answer a call in time. */
  readonly onTimeout?: () => void
  /** Called with the duration of each call, in seconds. */
  readonly onCall?: (seconds: number) => void
}

interface Pending {
  readonly entry: LogEntry
  readonly queuedAtMs: number
  readonly resolve: (outcome: AppendOutcome) => void
  readonly reject: (error: UnavailableError) => void
}

/** Redis does nothing else during a call: at about 15 µs an entry this keeps it below 2 ms. */
const MAX_BATCH_ENTRIES = 128
const MAX_BATCH_CHARACTERS = 4 * 1024 * 1024
/** Entries that may wait in this process; more are an overload, told at once. */
const MAX_WAITING = 10_000
/** With the command's own 2 s timeout this stays below the 3.4 s in which every delivery is answered. */
const MAX_WAIT_MS = 1300
/** A list of generations that changes more often during one call is a fault, not a race. */
const MAX_STALE = 5

const appendScript = loadScript(new URL('append.lua', import.meta.url))

export function createEventLog(options: EventLogOptions): EventLog {
  const lanes = Array.from({ length: options.partitions }, (_, partition) =>
    createLane(partitionKeys(options.keyPrefix, partition), options)
  )
  return {
    append: entry => {
      if (!options.isRedisUp()) return Promise.reject(new UnavailableError('redis_down'))
      const lane = lanes[partitionOf(entry.partitionKey, lanes.length)]
      return lane === undefined ? Promise.reject(new RangeError('no such partition')) : lane(entry)
    }
  }
}

/** One partition's way into Redis: a queue and at most one call under way. */
function createLane(keys: PartitionKeys, options: EventLogOptions) {
  const { redis, maxLength, makeRoom, onTimeout, onCall } = options
  const durable = options.durabilityWait?.(keys)
  const waiting: Pending[] = []
  let generations: Generations = []
  let running = false

  return (entry: LogEntry): Promise<AppendOutcome> =>
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
      const outcomes = await appendAll(batch.map(pending => pending.entry))
      await durable?.wait()
      for (const [index, pending] of batch.entries()) {
        const outcome = outcomes[index]
        if (outcome === undefined) pending.reject(new UnavailableError('log_full'))
        else pending.resolve(outcome)
      }
    } catch (error) {
      const unavailable = error instanceof UnavailableError ? error : asUnavailable(error)
      if (unavailable.reason === 'redis_timeout') onTimeout?.()
      for (const pending of batch) pending.reject(unavailable)
    } finally {
      onCall?.((performance.now() - startedMs) / 1000)
    }
  }

  /** The outcome of each entry; `undefined` where its stream is full. */
  async function appendAll(entries: readonly LogEntry[]): Promise<(AppendOutcome | undefined)[]> {
    const outcomes = await call(entries)
    const full = entries.filter((_, index) => outcomes[index] === undefined)
    if (full.length === 0) return outcomes

    const streams = new Set(full.map(entry => keys[entry.stream]))
    const removed = await Promise.all([...streams].map(stream => makeRoom(stream)))
    if (removed.every(count => count === 0)) return outcomes
    const retried = await call(full)
    return outcomes.map(outcome => outcome ?? retried.shift())
  }

  async function call(entries: readonly LogEntry[]): Promise<(AppendOutcome | undefined)[]> {
    for (let attempt = 0; attempt < MAX_STALE; attempt++) {
      const [status, detail, ...replies] = await runAppend(entries)
      if (status === 'done') {
        if (Number(detail) >= FULL_BUCKET) await openLargerGeneration()
        return replies.map(reply => (reply === 1 ? 'appended' : reply === 0 ? 'duplicate' : undefined))
      }
      generations = parseGenerations(String(detail))
      if (generations.length === 0) await openLargerGeneration()
    }
    throw new UnavailableError('redis_error')
  }

  async function runAppend(entries: readonly LogEntry[]): Promise<readonly unknown[]> {
    const scriptKeys = [keys.generations, keys.events, keys.parked]
    const args: (string | number)[] = [formatGenerations(generations), maxLength, durable ? '1' : '0']
    for (const entry of entries) {
      scriptKeys.push(...bucketKeys(keys, generations, entry.digest))
      const stream = entry.stream === 'events' ? 2 : 3
      args.push(fieldOf(entry.digest), stream, entry.type, entry.event)
    }
    const connection = durable === undefined ? redis : await durable.connection()
    return (await runScript(connection, appendScript, scriptKeys, args)) as unknown[]
  }

  async function openLargerGeneration(): Promise<void> {
    const next = afterFull(generations, await serverTimeMs(redis, keys))
    generations = await swapGenerations(redis, keys, generations, next)
  }
}

/** What a failed command says about Redis. Its text stays in the cause: it may repeat arguments. */
function asUnavailable(cause: unknown): UnavailableError {
  const message = cause instanceof Error ? cause.message : ''
  return new UnavailableError(reasonOf(message), { cause })
}

function reasonOf(message: string): UnavailableReason {
  if (message === TIMED_OUT) return 'redis_timeout'
  return /^[A-Z]+ /.test(message) ? 'redis_error' : 'redis_down'
}
