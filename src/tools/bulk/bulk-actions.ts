// Tested by test/tools/bulk/bulk-actions.test.ts.
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { withTimeout } from '../../async/abort.ts'
import { createPollingLoop } from '../../async/poll.ts'
import { errorCode } from '../../errors.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { loadScript, runScript } from '../../redis/script.ts'
import { writeWhileFull } from '../../redis/write-while-full.ts'
import { parseStored } from '../../stored-json.ts'
import { ActionError } from '../action-error.ts'

/** What a replay or drop has done so far. All replicas and commands see it. */
const stateSchema = z.object({
  id: z.string(),
  action: z.enum(['replay', 'drop']),
  who: z.string(),
  startedAtMs: z.number(),
  updatedAtMs: z.number(),
  /** `undefined` if it is not known. */
  total: z.number().optional(),
  /** Replayed, dropped or left. */
  handled: z.number(),
  outcome: z.enum(['running', 'done', 'interrupted', 'failed']),
  /** The first of those that stay, and why. */
  left: z.array(z.object({ name: z.string(), why: z.string() })),
  leftCount: z.number(),
  unknownCount: z.number()
})
export type BulkState = z.infer<typeof stateSchema>

/** On what only one replay or drop runs. */
export interface BulkSubject {
  /** A part of Redis keys. */
  readonly key: string
  /** In a message, such as `dead letters of crm`. */
  readonly what: string
}

export const lettersOf = (consumer: string): BulkSubject => ({
  key: `consumer:${consumer}`,
  what: `dead letters of ${consumer}`
})
export const allParked: BulkSubject = { key: 'parked', what: 'parked deliveries' }

type About = Pick<BulkState, 'action' | 'who' | 'total'>

/** What a replay or drop of dead letters or parked deliveries resolves with. */
export type BulkResult = (
  | { readonly replayed: number; readonly left: readonly Left[] }
  | { readonly dropped: number }
) & { readonly unknown: readonly string[]; readonly interrupted?: boolean }

type Left = { readonly why: string } & ({ readonly id: string } | { readonly delivery: string })

type Work<Result> = (options: {
  /** Ends it after what is being handled. */
  readonly signal: AbortSignal
  readonly onProgress: (handled: number) => void
}) => Promise<Result>

/**
 * Replays and drops. Only one runs on a subject at a time, of all that the console, its API and the command line start. Every
 * method throws the error of Redis. Those that begin one throw ActionError, with `busy` while another one runs.
 */
export interface BulkActions {
  /** Starts it, and waits a second, in which most of them end. It goes on for up to 10 minutes. */
  start(subject: BulkSubject, about: About, work: Work<BulkResult>): Promise<void>
  /** Resolves or rejects as `work` does. */
  run<Result extends BulkResult>(subject: BulkSubject, about: About, work: Work<Result>): Promise<Result>
  /** The one that is running, or else the last one, for an hour. */
  read(subject: BulkSubject): Promise<BulkState | undefined>
  /** Ends it after what is being handled. What is left can be replayed or dropped later. */
  stop(subject: BulkSubject): Promise<void>
  close(): Promise<void>
}

interface BulkContext {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly now: () => number
  /** Receives why the progress was not written. The bulk action continues. */
  readonly onUnwritten?: (error: unknown) => void
  /** Receives why one failed that `start` began. */
  readonly onFailed?: (error: unknown, subject: BulkSubject, action: About['action']) => void
}

const BEAT_MS = 500
/** Without a beat for so long its process has died, and another one may begin. */
const LEASE_MS = 15_000
/** One that nobody waits for ends then. The same one continues with the rest. */
const MAX_DURATION_MS = 10 * 60 * 1000
const KEEP_MS = 60 * 60 * 1000
const FIRST_WAIT_MS = 1000
const CLOSE_WAIT_MS = 3000
const MAX_LEFT = 20
const STOP = 'stop'

const lockScript = loadScript(new URL('bulk-lock.lua', import.meta.url))

export function createBulkActions({
  redis,
  keyPrefix,
  now,
  onUnwritten = () => {},
  onFailed = () => {}
}: BulkContext): BulkActions {
  const stateKey = ({ key }: BulkSubject): string => `${keyPrefix}bulk:${key}`
  const lockKey = ({ key }: BulkSubject): string => `${keyPrefix}bulk-lock:${key}`
  const running = new Map<Promise<unknown>, AbortController>()

  return {
    start: async (subject, about, work) => {
      const id = await lock(subject)
      const stopped = new AbortController()
      const limit = setTimeout(() => stopped.abort(), MAX_DURATION_MS)
      const run = locked(subject, { id, ...about }, work, stopped)
        .then(
          () => undefined,
          error => {
            if (error instanceof ActionError) return error
            onFailed(error, subject, about.action)
          }
        )
        .finally(() => {
          clearTimeout(limit)
          running.delete(run)
        })
      running.set(run, stopped)
      const refusal = await withTimeout(FIRST_WAIT_MS, run)
      if (refusal !== undefined) throw refusal
    },
    run: async (subject, about, work) => {
      const id = await lock(subject)
      return locked(subject, { id, ...about }, work, new AbortController())
    },
    read,
    stop: async subject => {
      await writeWhileFull(redis, 'set', lockKey(subject), [STOP, 'KEEPTTL', 'XX'])
    },
    close: async () => {
      for (const stopped of running.values()) stopped.abort()
      await withTimeout(CLOSE_WAIT_MS, Promise.all(running.keys()))
    }
  }

  async function read(subject: BulkSubject): Promise<BulkState | undefined> {
    const state = parseStored(stateSchema, await redis.get(stateKey(subject)))
    const isDead = state?.outcome === 'running' && now() - state.updatedAtMs > LEASE_MS
    return isDead ? { ...state, outcome: 'interrupted' } : state
  }

  /** @returns the id that has the lock. @throws ActionError if another one has it */
  async function lock(subject: BulkSubject): Promise<string> {
    const id = randomUUID()
    const reply = await writeWhileFull(redis, 'set', lockKey(subject), [id, 'PX', LEASE_MS, 'NX'])
    if (reply !== null) return id
    const state = await read(subject)
    const who = state?.outcome === 'running' ? `, started by ${state.who}` : ''
    throw new ActionError(
      'busy',
      `${subject.what} are being replayed or dropped already${who}: wait until that ends, or interrupt it in the console`
    )
  }

  async function locked<Result extends BulkResult>(
    subject: BulkSubject,
    about: About & { readonly id: string },
    work: Work<Result>,
    stopped: AbortController
  ): Promise<Result> {
    const startedAtMs = now()
    let handled = 0
    /** Redis did not answer for longer than the lock lasts, and another one may run: its state must stay. */
    let isLockLost = false
    const loop = createPollingLoop(beat, BEAT_MS, onUnwritten)
    try {
      await write('running')
      loop.start()
      const result = await work({
        signal: stopped.signal,
        onProgress: count => {
          handled = count
        }
      })
      await loop.stop()
      await writeResult(result).catch(onUnwritten)
      return result
    } catch (error) {
      await loop.stop()
      // It was refused before it did anything, for example because the consumer does not exist.
      if (error instanceof ActionError) await redis.del(stateKey(subject)).catch(onUnwritten)
      else await write('failed', [{ name: 'error', why: causeOf(error) }]).catch(onUnwritten)
      throw error
    } finally {
      await keepLock(0).catch(onUnwritten)
    }

    function keepLock(leaseMs: number): Promise<unknown> {
      return runScript(redis, lockScript, [lockKey(subject)], [about.id, leaseMs])
    }

    /** Keeps the lock, and notices that it was stopped, here or elsewhere, or has lost the lock. */
    async function beat(): Promise<void> {
      const holder = await keepLock(LEASE_MS)
      if (holder !== about.id) stopped.abort()
      isLockLost = holder !== about.id && holder !== STOP
      await write('running')
    }

    async function writeResult(result: BulkResult): Promise<void> {
      const left = 'left' in result ? result.left : []
      handled = ('replayed' in result ? result.replayed : result.dropped) + left.length
      const isComplete = about.total !== undefined && handled + result.unknown.length >= about.total
      const isInterrupted = result.interrupted ?? (stopped.signal.aborted && !isComplete)
      const named = left.map(one => ({ name: 'id' in one ? one.id : one.delivery, why: one.why }))
      await write(isInterrupted ? 'interrupted' : 'done', named, result.unknown.length)
    }

    async function write(
      outcome: BulkState['outcome'],
      left: BulkState['left'] = [],
      unknownCount = 0
    ): Promise<void> {
      if (isLockLost) return
      const state: BulkState = {
        ...about,
        startedAtMs,
        updatedAtMs: now(),
        handled,
        outcome,
        left: left.slice(0, MAX_LEFT),
        leftCount: left.length,
        unknownCount
      }
      await writeWhileFull(redis, 'set', stateKey(subject), [JSON.stringify(state), 'PX', KEEP_MS])
    }
  }
}

const causeOf = (error: unknown): string =>
  error instanceof Error ? (errorCode(error) ?? error.name) : 'unknown'
