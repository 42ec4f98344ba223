// Tested by test/dispatch/attempts.test.ts.
import { createPollingLoop } from '../async/poll.ts'
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { type Attempt, attemptLines, attemptsKey } from './attempts.ts'

/** One attempt with one or several events, which a broker gets together. */
export interface RecordedAttempt extends Omit<Attempt, 'eventId'> {
  readonly eventIds: readonly string[]
}

/** Writes the log of attempts once per second: a crash loses at most the last second of it. */
export interface AttemptLog {
  /** Never rejects or waits. */
  record(attempt: RecordedAttempt): void
  /** Writes the rest. Never rejects. */
  close(): Promise<void>
}

interface AttemptLogOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  /** Attempts kept per consumer, about; 0: nothing is written. */
  readonly length: number
  readonly onError: (error: unknown) => void
}

const FLUSH_INTERVAL_MS = 1000
/** Attempts per entry, at most: Redis reads and trims whole entries. */
const ENTRY_ATTEMPTS = 100
/** Entries per call of the script: less than 0.5 ms in Redis, between two deliveries. */
const CALL_ENTRIES = 10
/** The longest answer that is kept. */
const MAX_ANSWER_LENGTH = 64

const appendScript = loadScript(new URL('append-attempts.lua', import.meta.url))

interface Buffer {
  readonly attempts: RecordedAttempt[]
  events: number
}

export function createAttemptLog({ redis, keyPrefix, length, onError }: AttemptLogOptions): AttemptLog {
  let buffers = new Map<string, Buffer>()
  const loop = createPollingLoop(flush, FLUSH_INTERVAL_MS)
  if (length > 0) loop.start()

  return {
    record: attempt => {
      if (length === 0) return
      const buffer = buffers.get(attempt.consumer) ?? { attempts: [], events: 0 }
      buffers.set(attempt.consumer, buffer)
      buffer.attempts.push(attempt)
      buffer.events += attempt.eventIds.length
      // Redis would trim them at once.
      if (buffer.events > 2 * length) dropOldest(buffer, length)
    },
    close: async () => {
      await loop.stop()
      await flush()
    }
  }

  /** Never rejects. */
  async function flush(): Promise<void> {
    const full = buffers
    buffers = new Map()
    // In a Cluster, the logs of other consumers can be on nodes that work.
    for (const [consumer, buffer] of full) await write(consumer, buffer).catch(onError)
  }

  async function write(consumer: string, buffer: Buffer): Promise<void> {
    dropOldest(buffer, length)
    // After an error the outcome of a call is unknown. Repeating it could show an attempt twice.
    for (const entries of callsOf(buffer.attempts)) {
      await runScript(redis, appendScript, [attemptsKey(keyPrefix, consumer)], [length, ...entries])
    }
  }
}

/** Drops the oldest attempts that are not among the newest `length` events. */
function dropOldest(buffer: Buffer, length: number): void {
  let drop = 0
  for (const { eventIds } of buffer.attempts) {
    if (buffer.events - eventIds.length < length) break
    buffer.events -= eventIds.length
    drop++
  }
  buffer.attempts.splice(0, drop)
}

/** The arguments of each call of append-attempts.lua: for each entry the number of its lines, and the lines. */
function* callsOf(attempts: readonly RecordedAttempt[]): Generator<readonly (string | number)[]> {
  let args: (string | number)[] = []
  let lines: string[] = []
  for (const line of linesOf(attempts)) {
    lines.push(line)
    if (lines.length < ENTRY_ATTEMPTS) continue
    args.push(lines.length, lines.join(''))
    lines = []
    if (args.length < 2 * CALL_ENTRIES) continue
    yield args
    args = []
  }
  if (lines.length > 0) args.push(lines.length, lines.join(''))
  if (args.length > 0) yield args
}

function* linesOf(attempts: readonly RecordedAttempt[]): Generator<string> {
  for (const { eventIds, ...attempt } of attempts) {
    yield* attemptLines(eventIds, { ...attempt, answer: attempt.answer.slice(0, MAX_ANSWER_LENGTH) })
  }
}
