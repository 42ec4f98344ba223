// Tested by test/dispatch/attempts.test.ts.
import { createPollingLoop } from '../async/poll.ts'
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { type Attempt, attemptEventId, attemptsKey } from './attempts.ts'

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
/** Attempts per call of the script: about 0.3 ms in Redis, between two deliveries. */
const BATCH_ATTEMPTS = 100
/** The longest answer that is kept. */
const MAX_ANSWER_LENGTH = 64

const appendScript = loadScript(new URL('append-attempts.lua', import.meta.url))

interface Buffer {
  readonly attempts: RecordedAttempt[]
  events: number
}

export function createAttemptLog({ redis, keyPrefix, length, onError }: AttemptLogOptions): AttemptLog {
  let buffers = new Map<string, Buffer>()
  const loop = createPollingLoop(flush, FLUSH_INTERVAL_MS, onError)
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
      await loop.stop().catch(onError)
      await flush().catch(onError)
    }
  }

  async function flush(): Promise<void> {
    const full = buffers
    buffers = new Map()
    for (const [consumer, buffer] of full) {
      dropOldest(buffer, length)
      // After an error the outcome of a call is unknown. Repeating it could show an attempt twice.
      for (const args of batches(buffer.attempts)) {
        await runScript(redis, appendScript, [attemptsKey(keyPrefix, consumer)], [length, ...args])
      }
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

/** The arguments of each call of append-attempts.lua. */
function* batches(attempts: readonly RecordedAttempt[]): Generator<(string | number)[]> {
  let args: (string | number)[] = []
  let events = 0
  for (const { eventIds, attempt, atMs, outcome, answer, durationMs } of attempts) {
    const ids = eventIds.map(attemptEventId)
    const shared = [attempt, atMs, outcome, answer.slice(0, MAX_ANSWER_LENGTH), Math.round(durationMs)]
    for (let first = 0; first < ids.length; ) {
      const part = ids.slice(first, first + BATCH_ATTEMPTS - events)
      args.push(part.length, ...shared, ...part)
      events += part.length
      first += part.length
      if (events < BATCH_ATTEMPTS) continue
      yield args
      args = []
      events = 0
    }
  }
  if (events > 0) yield args
}
