import { setMaxListeners } from 'node:events'
import { DelayedError, type Job, Worker } from 'bullmq'
import { rejectOnAbort, withAnySignal, withTimeout } from '../../async/abort.ts'
import { backoffMs } from '../../async/backoff.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import { formatPastAttempt, type PastAttempt, parsePastAttempts } from '../../group/past-attempt.ts'
import type { AttemptOutcome } from '../../ops/outcomes.ts'
import type { HttpSettings } from '../../settings/consumers-file.ts'
import type { Sink, SinkContext } from '../sink.ts'
import { createPusher, type PushOutcome } from './http-request.ts'
import { asConnection, openPushQueue, QUEUE_NAME, queuePrefix } from './push-queue.ts'

/** How long a worker holds its jobs after its process died. */
const LOCK_MS = 30_000
/** How often jobs of dead workers are looked for. */
const STALLED_CHECK_MS = 15_000
/** Practically unlimited: a process that crashes repeatedly must not turn events into failures. */
const MAX_STALLED = 1_000_000
/** When the service stops, requests in flight are aborted after this time: not counted, and left to another replica. */
const CLOSE_GRACE_MS = 1500
/** If Redis hangs, BullMQ would wait for it forever. */
const CLOSE_LIMIT_MS = 2500
/** Failures in a row that mean that the consumer is down, not that it rejects single events. */
const DOWN_FAILURES = 5
/** Events promoted in one call: it blocks Redis. */
const PROMOTE_BATCH = 200
/** Delay of an event that a worker got while it was paused. */
const PAUSED_DELAY_MS = 1000
/** Delay of the next attempt if the outcome of one could not be recorded. */
const UNSETTLED_DELAY_MS = 1000
/**
 * With the defaults (10 s, at most 6 h, 12 attempts) the delays are 10 s, 30 s, 90 s, 4.5 min, 13.5 min, 40 min, 2 h,
 * and four times 6 h: 27 hours in total.
 */
const BACKOFF_FACTOR = 3
/** How long the worker of an empty queue blocks before it asks again. */
const DRAIN_DELAY_SECONDS = 5

/**
 * Thrown to BullMQ, which asks `backoffStrategy` for the delay before the next attempt. BullMQ keeps the stacks of the
 * last errors with the event: here they describe the attempts, so that all replicas know them without a further call.
 */
class AttemptFailed extends Error {
  /** In dead letters the reason stands alone, such as `status 503`. */
  override readonly name = ''
  readonly retryAfterMs: number | undefined

  constructor(reason: string, attempt: PastAttempt, retryAfterMs?: number) {
    super(reason)
    this.stack = formatPastAttempt(attempt)
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * Push over HTTP. `publish` adds events to a bounded queue in Redis, and a worker posts them, as many at once as the
 * consumer allows. All replicas share the queue, and it survives them. Each consumer has its own worker per replica, so
 * a slow consumer does not delay the others.
 */
export function createHttpSink(settings: HttpSettings, context: SinkContext): Sink {
  const { name: consumer, maxAttempts } = settings
  const { queueRedis, keyPrefix, states, deadLetters, attempts, reporter, now } = context
  const onError = (error: unknown): void => context.onError(consumer, error)
  const pusher = createPusher(settings, now)
  let failuresInARow = 0
  let paused = true
  /** Aborted when `publish` takes no more events. */
  const closed = new AbortController()
  /** Aborted when requests in flight are given up. */
  const closing = new AbortController()
  // One listener per partition, or per request in flight.
  setMaxListeners(0, closed.signal, closing.signal)
  const pushQueue = openPushQueue(queueRedis, keyPrefix, settings)
  const worker = new Worker<OutgoingEvent>(QUEUE_NAME, attempt, {
    autorun: false,
    connection: asConnection(queueRedis),
    prefix: queuePrefix(keyPrefix, consumer),
    concurrency: settings.concurrency,
    drainDelay: DRAIN_DELAY_SECONDS,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: MAX_STALLED,
    settings: {
      backoffStrategy: (attempts, _type, error) =>
        backoffMs({ firstMs: settings.retryDelayMs, maxMs: settings.maxRetryDelayMs }, attempts, {
          factor: BACKOFF_FACTOR,
          retryAfterMs: error instanceof AttemptFailed ? error.retryAfterMs : undefined
        })
    }
  })
  worker.on('error', onError)

  return {
    publish: async (events, signal) => {
      await withAnySignal([signal, closed.signal], any => rejectOnAbort(any, pushQueue.add(events, any)))
      return []
    },
    pausing: {
      pause: () => {
        paused = true
        // Requests in flight finish without being waited for.
        worker.pause(true).catch(onError)
      },
      resume: () => {
        paused = false
        // Only a worker that was paused can be resumed.
        const running = worker.isPaused() ? worker.resume() : worker.run()
        running.catch(onError)
      }
    },
    close: async () => {
      closed.abort()
      const grace = setTimeout(() => closing.abort(), CLOSE_GRACE_MS)
      await withTimeout(CLOSE_LIMIT_MS, Promise.allSettled([worker.close(), pushQueue.queue.close()]))
      clearTimeout(grace)
      closing.abort()
      await pusher.close()
    }
  }

  async function attempt(job: Job<OutgoingEvent>, token?: string): Promise<void> {
    // The worker was waiting for an event when it was paused.
    if (paused) return putBack(job, token, PAUSED_DELAY_MS)
    const [atMs, startedMs] = [now(), performance.now()]
    let pushed: PushOutcome
    try {
      pushed = await pusher.push(job.data, closing.signal)
    } catch {
      return putBack(job, token)
    }
    const done = {
      attempt: job.attemptsMade + 1,
      atMs,
      answer: pushed.answer,
      durationMs: performance.now() - startedMs
    }
    const wasDown = failuresInARow >= DOWN_FAILURES
    failuresInARow = pushed.kind === 'delivered' ? 0 : failuresInARow + 1
    // Events that failed while the consumer was down could have their next attempt hours later.
    if (wasDown && pushed.kind === 'delivered') {
      pushQueue.queue.promoteJobs({ count: PROMOTE_BATCH }).catch(onError)
    }
    let outcome: AttemptOutcome
    try {
      outcome = await settle(job, pushed, done)
    } catch (error) {
      // BullMQ would take any other error of a last attempt as the end of the event, which would then be lost.
      onError(error)
      return putBack(job, token, UNSETTLED_DELAY_MS)
    }
    const failure = pushed.kind === 'failed' ? pushed.reason : undefined
    attempts.record({ ...done, consumer, eventIds: [job.data.id], outcome, failure })
    if (outcome === 'gone') return putBack(job, token)
    if (outcome === 'failed' && pushed.kind === 'failed') {
      throw new AttemptFailed(pushed.reason, done, pushed.retryAfterMs)
    }
  }

  async function settle(
    job: Job<OutgoingEvent>,
    pushed: PushOutcome,
    done: PastAttempt
  ): Promise<AttemptOutcome> {
    if (pushed.kind === 'delivered') return 'delivered'
    if (pushed.kind === 'gone') {
      await states.disable(consumer, 'answered 410 (Gone)')
      await pushQueue.queue.pause()
      return 'gone'
    }
    if (done.attempt < (job.opts.attempts ?? maxAttempts)) return 'failed'
    const { id, type } = job.data
    const { reason } = pushed
    const lastAttempts = [...parsePastAttempts(job.stacktrace ?? []), done]
    const failure = {
      reason: 'failed',
      error: new AttemptFailed(reason, done),
      attempts: done.attempt,
      lastAttempts
    } as const
    // First kept, then removed from the queue: a crash in between leaves two copies, never none.
    await deadLetters.add(consumer, job.data, failure)
    reporter.report({ consumer, eventId: id, type, attempts: done.attempt, reason })
    return 'dead'
  }
}

/** Returns a job to the queue without counting the attempt. */
async function putBack(job: Job<OutgoingEvent>, token: string | undefined, delayMs = 0): Promise<never> {
  await job.moveToDelayed(Date.now() + delayMs, token)
  throw new DelayedError()
}
