import { setMaxListeners } from 'node:events'
import { DelayedError, type Job, Worker } from 'bullmq'
import { withAnySignal } from '../../async/any-signal.ts'
import { backoffMs } from '../../async/backoff.ts'
import { rejectOnAbort } from '../../async/reject-on-abort.ts'
import type { DeadLetters } from '../../group/dead-letters.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { HttpSettings } from '../../settings/consumers-file.ts'
import type { ConsumerStates } from '../consumer-state.ts'
import type { Sink } from '../sink.ts'
import { createPusher, type PushOutcome } from './http-request.ts'
import { asConnection, openPushQueue, QUEUE_NAME, queuePrefix } from './push-queue.ts'

/** What became of one attempt, as metrics count it. */
export type AttemptOutcome = 'delivered' | 'failed' | 'dead' | 'gone'

export interface HttpSinkOptions {
  readonly settings: HttpSettings
  /** For BullMQ alone: connected in the patient manner. */
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly states: ConsumerStates
  readonly deadLetters: DeadLetters
  readonly now: () => number
  readonly onAttempt: (outcome: AttemptOutcome, seconds: number) => void
  readonly onError: (error: unknown) => void
}

/** A worker whose process died holds its jobs this long. */
const LOCK_MS = 30_000
/** How often what a dead worker held is looked for. */
const STALLED_CHECK_MS = 15_000
/** A process that dies again and again must not turn events into failures. */
const MAX_STALLED = 1_000_000
/** What a request under way gets when the service ends; then it is another replica's, uncounted. */
const CLOSE_GRACE_MS = 1500
/** When Redis hangs, BullMQ would wait for it for ever. */
const CLOSE_LIMIT_MS = 2500
/** Failures in a row that mean that the consumer is down, and not that it dislikes an event. */
const DOWN_FAILURES = 5
/** Events brought forward in one call: Redis does nothing else meanwhile. */
const PROMOTE_BATCH = 200
/** Until an attempt is made again whose outcome could not be written down. */
const UNSETTLED_DELAY_MS = 1000
/**
 * With the defaults (10 s, at most 6 h, 12 attempts) the waits are 10 s, 30 s, 90 s, 4.5 min, 13.5 min, 40 min, 2 h,
 * and four times 6 h: 27 hours in all.
 */
const BACKOFF_FACTOR = 3
/** Where a queue is empty a worker asks again after this many seconds, if nothing woke it before. */
const DRAIN_DELAY_SECONDS = 5

/** Thrown to BullMQ, which asks for the pause before the next attempt. */
class AttemptFailed extends Error {
  readonly retryAfterMs: number | undefined

  constructor(reason: string, retryAfterMs: number | undefined) {
    super(reason)
    this.name = 'AttemptFailed'
    this.retryAfterMs = retryAfterMs
  }
}

/**
 * Push over HTTP. `publish` puts events into a queue in Redis, of bounded length, and a worker posts them, as
 * many at once as the consumer allows. The queue is shared by all replicas and outlives them.
 *
 * Each replica has its own worker for each consumer, so a slow one takes nothing from another.
 */
export function createHttpSink(options: HttpSinkOptions): Sink {
  const { settings, redis, keyPrefix, states, deadLetters, now, onAttempt, onError } = options
  const { name: consumer, maxAttempts } = settings
  const pusher = createPusher(settings, now)
  let failuresInARow = 0
  /** Nothing more is taken from here on. */
  const closed = new AbortController()
  /** Nothing more is waited for from here on. */
  const closing = new AbortController()
  // As many listen as there are partitions, or requests under way.
  setMaxListeners(0, closed.signal, closing.signal)
  const pushQueue = openPushQueue({
    redis,
    keyPrefix,
    consumer,
    attempts: maxAttempts,
    backlog: settings.backlog,
    backlogBytes: settings.backlogBytes
  })
  const worker = new Worker<OutgoingEvent>(QUEUE_NAME, attempt, {
    connection: asConnection(redis),
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
      await withAnySignal([signal, closed.signal], over => rejectOnAbort(over, pushQueue.add(events, over)))
      return []
    },
    close: async () => {
      closed.abort()
      const grace = setTimeout(() => closing.abort(), CLOSE_GRACE_MS)
      await within(CLOSE_LIMIT_MS, Promise.all([worker.close(), pushQueue.queue.close()]))
      clearTimeout(grace)
      closing.abort()
      await pusher.close()
    }
  }

  async function attempt(job: Job<OutgoingEvent>, token?: string): Promise<void> {
    const startedMs = performance.now()
    let outcome: PushOutcome
    try {
      outcome = await pusher.push(job.data, closing.signal)
    } catch {
      return putBack(job, token)
    }
    const wasDown = failuresInARow >= DOWN_FAILURES
    failuresInARow = outcome.kind === 'delivered' ? 0 : failuresInARow + 1
    if (wasDown && outcome.kind === 'delivered') catchUp()
    let counted: AttemptOutcome
    try {
      counted = await settle(job, outcome)
    } catch (error) {
      // BullMQ takes any other end of a last attempt for the end of the event, which nobody keeps then.
      onError(error)
      return putBack(job, token, UNSETTLED_DELAY_MS)
    }
    onAttempt(counted, (performance.now() - startedMs) / 1000)
    if (counted === 'gone') return putBack(job, token)
    if (counted === 'failed' && outcome.kind === 'failed') {
      throw new AttemptFailed(outcome.reason, outcome.retryAfterMs)
    }
  }

  /** What failed while the consumer was down could be hours from its next attempt, and keeps the rest waiting. */
  function catchUp(): void {
    pushQueue.queue.promoteJobs({ count: PROMOTE_BATCH }).catch(onError)
  }

  async function settle(job: Job<OutgoingEvent>, outcome: PushOutcome): Promise<AttemptOutcome> {
    if (outcome.kind === 'delivered') return 'delivered'
    if (outcome.kind === 'gone') {
      await states.disable(consumer, 'answered 410 (Gone)')
      await pushQueue.queue.pause()
      return 'gone'
    }
    // Told to people only: that it could not be told must not become the event's fate.
    await states.failed(consumer, outcome.reason).catch(onError)
    const attempts = job.attemptsMade + 1
    if (attempts < (job.opts.attempts ?? maxAttempts)) return 'failed'
    // Kept first, and only then out of the queue: a death in between costs a second copy, not the event.
    await deadLetters.keep(consumer, job.data, new AttemptFailed(outcome.reason, undefined), attempts)
    return 'dead'
  }
}

/** Back into the queue, this attempt uncounted. */
async function putBack(job: Job<OutgoingEvent>, token: string | undefined, delayMs = 0): Promise<never> {
  await job.moveToDelayed(Date.now() + delayMs, token)
  throw new DelayedError()
}

async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<void>(resolve => {
    timer = setTimeout(resolve, limitMs)
  })
  await Promise.race([work.catch(() => {}), limit])
  clearTimeout(timer)
}
