// Tested by test/console/pages/bulk-actions.test.ts.
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { withTimeout } from '../../../async/abort.ts'
import { createPollingLoop } from '../../../async/poll.ts'
import { errorCode } from '../../../errors.ts'
import { loadScript, runScript } from '../../../redis/script.ts'
import { writeWhileFull } from '../../../redis/write-while-full.ts'
import { parseStored } from '../../../stored-json.ts'
import type { ConsoleContext } from '../../context.ts'

/** What a replay or drop of many things has done so far. All replicas see it. */
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

export interface BulkResult {
  /** Replayed or dropped. */
  readonly done: number
  readonly left: readonly { readonly name: string; readonly why: string }[]
  readonly unknown: readonly string[]
}

type Work = (options: {
  readonly signal: AbortSignal
  readonly onProgress: (handled: number) => void
}) => Promise<BulkResult>

/** Replays and drops that go on after the answer to the request. Every method throws the error of Redis. */
export interface BulkActions {
  /**
   * Starts it, and waits a second, in which most of them end.
   *
   * @param subject such as `consumer:crm`; only one bulk action runs on it, over all replicas
   * @returns `false` if one is running
   */
  start(subject: string, about: Pick<BulkState, 'action' | 'who' | 'total'>, work: Work): Promise<boolean>
  /** The one that is running, or else the last one, for an hour. */
  read(subject: string): Promise<BulkState | undefined>
  /** Ends it after what is being handled. What is left can be replayed or dropped later. */
  stop(subject: string): Promise<void>
  close(): Promise<void>
}

const BEAT_MS = 500
/** Without a beat for so long its process has died, and another one may begin. */
const LEASE_MS = 15_000
/** A bulk action ends then. The same one continues with the rest. */
const MAX_DURATION_MS = 10 * 60 * 1000
const KEEP_MS = 60 * 60 * 1000
const FIRST_WAIT_MS = 1000
const CLOSE_WAIT_MS = 3000
const MAX_LEFT = 20
const STOP = 'stop'

const lockScript = loadScript(new URL('bulk-lock.lua', import.meta.url))

export function createBulkActions({
  redis,
  config,
  log,
  now
}: Pick<ConsoleContext, 'redis' | 'config' | 'log' | 'now'>): BulkActions {
  const stateKey = (subject: string): string => `${config.log.keyPrefix}console:bulk:${subject}`
  const lockKey = (subject: string): string => `${config.log.keyPrefix}console:bulk-lock:${subject}`
  const running = new Map<Promise<void>, AbortController>()

  return {
    start: async (subject, about, work) => {
      const id = randomUUID()
      const lock = await writeWhileFull(redis, 'set', lockKey(subject), [id, 'PX', LEASE_MS, 'NX'])
      if (lock === null) return false
      const stopped = new AbortController()
      const run = runWork(subject, { id, ...about }, work, stopped).finally(() => running.delete(run))
      running.set(run, stopped)
      await withTimeout(FIRST_WAIT_MS, run)
      return true
    },
    read: async subject => {
      const state = parseStored(stateSchema, await redis.get(stateKey(subject)))
      const isDead = state?.outcome === 'running' && now() - state.updatedAtMs > LEASE_MS
      return isDead ? { ...state, outcome: 'interrupted' } : state
    },
    stop: async subject => {
      await writeWhileFull(redis, 'set', lockKey(subject), [STOP, 'KEEPTTL', 'XX'])
    },
    close: async () => {
      for (const stopped of running.values()) stopped.abort()
      await withTimeout(CLOSE_WAIT_MS, Promise.all(running.keys()))
    }
  }

  /** Never rejects. */
  async function runWork(
    subject: string,
    about: Pick<BulkState, 'id' | 'action' | 'who' | 'total'>,
    work: Work,
    stopped: AbortController
  ): Promise<void> {
    const startedAtMs = now()
    let handled = 0
    /** Redis did not answer for longer than the lock lasts, and another one may run: its state must stay. */
    let isLockLost = false
    const limit = setTimeout(() => stopped.abort(), MAX_DURATION_MS)
    const loop = createPollingLoop(beat, BEAT_MS, onError)
    try {
      await write('running')
      loop.start()
      const { done, left, unknown } = await work({
        signal: stopped.signal,
        onProgress: count => {
          handled = count
        }
      })
      await loop.stop()
      handled = done + left.length
      const isComplete = about.total !== undefined && handled + unknown.length >= about.total
      await write(stopped.signal.aborted && !isComplete ? 'interrupted' : 'done', left, unknown.length)
    } catch (error) {
      log.error({ err: error, action: about.action, target: subject }, 'console: a bulk action failed')
      await loop.stop()
      const why = error instanceof Error ? (errorCode(error) ?? error.name) : 'unknown'
      await write('failed', [{ name: 'error', why }]).catch(onError)
    } finally {
      clearTimeout(limit)
      await keepLock(0).catch(onError)
    }

    function keepLock(leaseMs: number): Promise<unknown> {
      return runScript(redis, lockScript, [lockKey(subject)], [about.id, leaseMs])
    }

    /** Keeps the lock, and notices that it was stopped, here or at another replica, or has lost the lock. */
    async function beat(): Promise<void> {
      const holder = await keepLock(LEASE_MS)
      if (holder !== about.id) stopped.abort()
      isLockLost = holder !== about.id && holder !== STOP
      await write('running')
    }

    async function write(
      outcome: BulkState['outcome'],
      left: BulkResult['left'] = [],
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

  function onError(error: unknown): void {
    log.debug({ err: error }, 'console: the progress of a bulk action was not written')
  }
}
