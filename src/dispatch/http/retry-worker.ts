// Tested by test/dispatch/http/http-consumer.slow.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { DelayedError, type Job, Worker } from 'bullmq'
import { backoffMs } from '../../async/backoff.ts'
import type { HttpSettings } from '../../settings/http-consumer.ts'
import type { PushContext } from '../push-context.ts'
import { type Attempter, AttemptFailed } from './attempt.ts'
import type { Gate } from './gate.ts'
import {
  asConnection,
  attemptsMade,
  type PushQueue,
  pastAttempts,
  QUEUE_NAME,
  type QueuedEvent,
  queuePrefix
} from './push-queue.ts'

/** Makes the further attempts of the events in the queue. */
export interface RetryWorker {
  /** Neither throws nor waits. Requests in flight finish. */
  pause(): void
  resume(): void
  /**
   * Makes the next attempt of all events that failed since `sinceMs` (unix milliseconds) at once. Resolves when the
   * last of them is in flight, or when the signal is aborted. Rejects with the error of Redis.
   */
  drain(sinceMs: number, signal: AbortSignal): Promise<void>
  /** Waits for requests in flight. */
  close(): Promise<void>
  /** Ends a `close` that takes too long. */
  abandon(): void
}

interface RetryWorkerOptions {
  readonly settings: HttpSettings
  readonly context: PushContext
  readonly queue: PushQueue['queue']
  readonly attempter: Attempter
  readonly gate: Gate
  readonly concurrency: number
}

/** How long a worker holds its jobs after its process died. */
const LOCK_MS = 30_000
/** How often jobs of dead workers are looked for. */
const STALLED_CHECK_MS = 15_000
/** Practically unlimited: a process that crashes repeatedly must not turn events into failures. */
const MAX_STALLED = 1_000_000
/** Delay of an event that a worker got while it was paused. */
const PAUSED_DELAY_MS = 1000
/** Delay of the next attempt if the outcome of one could not be recorded. */
const UNSETTLED_DELAY_MS = 1000
/**
 * How long the worker of an empty queue blocks before it asks again. If a connection was lost silently, Redis still holds
 * its blocking command, which takes the next marker: the worker then notices its jobs only after this time.
 */
const DRAIN_DELAY_SECONDS = 2
/** Jobs that are read at once: with their events. */
const PAGE_JOBS = 10
const DRAINED_POLL_MS = 50
const LAST_POLLS = 20
/**
 * With the defaults (10 s, at most 6 h, 12 attempts) the delays are 10 s, 30 s, 90 s, 4.5 min, 13.5 min, 40 min, 2 h,
 * and four times 6 h: 27 hours in total.
 */
const BACKOFF_FACTOR = 3

/** @returns the pause before the next attempt, in milliseconds */
export function retryDelayMs(
  { retryDelayMs, maxRetryDelayMs }: HttpSettings,
  attempts: number,
  retryAfterMs: number | undefined
): number {
  return backoffMs({ firstMs: retryDelayMs, maxMs: maxRetryDelayMs }, attempts, {
    factor: BACKOFF_FACTOR,
    retryAfterMs
  })
}

class RetryingWorker extends Worker<QueuedEvent> {
  /** While a job does not end, for example because Redis is away, BullMQ renews its lock, which keeps the process alive. */
  stopRenewing(): void {
    void this.lockManager.close()
  }
}

/** All replicas share the queue, and it survives them. */
export function createRetryWorker(options: RetryWorkerOptions): RetryWorker {
  const { settings, context, queue, attempter, gate, concurrency } = options
  const { name: consumer } = settings
  const { queueRedis, keyPrefix, deadLetters } = context
  const onError = (error: unknown): void => context.onError(consumer, error)
  const worker = new RetryingWorker(QUEUE_NAME, retry, {
    autorun: false,
    connection: asConnection(queueRedis),
    prefix: queuePrefix(keyPrefix, consumer),
    concurrency,
    drainDelay: DRAIN_DELAY_SECONDS,
    // After a lost connection. The default is 15 s.
    runRetryDelay: 1000,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLED,
    settings: {
      backoffStrategy: (made, _type, error, job) =>
        retryDelayMs(
          settings,
          made + (job?.data.attemptsBefore ?? 0),
          error instanceof AttemptFailed ? error.retryAfterMs : undefined
        )
    }
  })
  worker.on('error', onError)

  return {
    pause: () => void worker.pause(true).catch(onError),
    resume: () => {
      // Only a worker that was paused can be resumed.
      const running = worker.isPaused() ? worker.resume() : worker.run()
      running.catch(onError)
    },
    drain: async (sinceMs, signal) => {
      // Those that fail again meanwhile wait for their next attempt.
      const untilMs = context.now()
      let skipped = 0
      for (let more = true; more && !signal.aborted; ) {
        const jobs = await queue.getDelayed(skipped, skipped + PAGE_JOBS - 1)
        more = jobs.length === PAGE_JOBS
        for (const job of jobs) {
          const { atMs, durationMs } = pastAttempts(job).at(-1) ?? { atMs: 0, durationMs: 0 }
          const failedAtMs = atMs + durationMs
          const hasFailedSince = failedAtMs >= sinceMs && failedAtMs <= untilMs
          // Another replica may have been faster.
          if (
            !hasFailedSince ||
            !(await job.promote().then(
              () => true,
              () => false
            ))
          )
            skipped++
        }
      }
      // Those in flight are not waited for much longer: one may hang.
      for (let polls = 0; polls < LAST_POLLS && !signal.aborted; ) {
        const { waiting = 0, active = 0 } = await queue.getJobCounts('waiting', 'active')
        if (waiting + active === 0) return
        polls = waiting > 0 ? 0 : polls + 1
        await sleep(DRAINED_POLL_MS)
      }
    },
    close: () => worker.close(),
    abandon: () => worker.stopRenewing()
  }

  async function retry(job: Job<QueuedEvent>, token?: string): Promise<void> {
    // The worker was waiting for an event when it was paused.
    if (!(await gate.acquireRetry())) return putBack(job, token, PAUSED_DELAY_MS)
    let outcome: 'delivered' | 'gone' | 'aborted'
    try {
      const heldMs = gate.holdMs()
      if (heldMs > 0) return await putBack(job, token, heldMs)
      outcome = await attempter.attempt(job.data, attemptsMade(job) + 1)
    } catch (error) {
      if (error instanceof AttemptFailed) return settleFailure(job, token, error)
      if (error instanceof DelayedError) throw error
      onError(error)
      return putBack(job, token, UNSETTLED_DELAY_MS)
    } finally {
      gate.release()
    }
    if (outcome !== 'delivered') return putBack(job, token)
  }

  async function settleFailure(
    job: Job<QueuedEvent>,
    token: string | undefined,
    error: AttemptFailed
  ): Promise<void> {
    if (job.attemptsMade + 1 < (job.opts.attempts ?? settings.maxAttempts)) {
      attempter.recordFailure(error, 'failed')
      throw error
    }
    const { attempt } = error.attempt
    const lastAttempts = [...pastAttempts(job), error.attempt]
    try {
      // First kept, then removed from the queue: a crash in between leaves two copies, never none.
      await deadLetters.add(consumer, job.data, { reason: 'failed', error, attempts: attempt, lastAttempts })
    } catch (failure) {
      // BullMQ would take any other error of a last attempt as the end of the event, which would then be lost.
      onError(failure)
      return putBack(job, token, UNSETTLED_DELAY_MS)
    }
    attempter.recordFailure(error, 'dead')
  }
}

/** Returns a job to the queue without counting the attempt. */
async function putBack(job: Job<QueuedEvent>, token: string | undefined, delayMs = 0): Promise<never> {
  await job.moveToDelayed(Date.now() + delayMs, token)
  throw new DelayedError()
}
