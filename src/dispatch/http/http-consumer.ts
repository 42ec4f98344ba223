import { setMaxListeners } from 'node:events'
import { rejectOnAbort, withTimeout } from '../../async/abort.ts'
import { pause } from '../../async/backoff.ts'
import { parseEnvelope } from '../../group/cloud-event.ts'
import { LAST_ATTEMPTS } from '../../group/dead-letters.ts'
import { type ErrorContext, MalformedEntryError } from '../../group/entry-errors.ts'
import { compileEntryFilter } from '../../group/entry-filter.ts'
import type { ReadEntry } from '../../group/fenced-read.ts'
import { type GroupMember, joinGroup } from '../../group/member.ts'
import { type OutgoingEvent, outgoingEventOf } from '../../group/outgoing-event.ts'
import {
  type AfterFailure,
  type FailedAttempt,
  type PartitionProcessorOptions,
  processPartition
} from '../../group/partition-processor.ts'
import { formatPastAttempt } from '../../group/past-attempt.ts'
import { formatPosition } from '../../log/position.ts'
import type { HttpSettings } from '../../settings/http-consumer.ts'
import type { PushConsumer, PushContext } from '../push-context.ts'
import { AttemptFailed, createAttempter } from './attempt.ts'
import { createAdaptiveLimit, createFixedLimit } from './concurrency-limit.ts'
import { createGate } from './gate.ts'
import { openPushQueue } from './push-queue.ts'
import { createQueueProbe } from './queue-probe.ts'
import { createPusher } from './request.ts'
import { createRetryWorker, retryDelayMs } from './retry-worker.ts'

/** When the service stops, requests in flight are aborted after this time: not counted, and left to another replica. */
const CLOSE_GRACE_MS = 1500
/** If Redis hangs, BullMQ would wait for it forever. */
const CLOSE_LIMIT_MS = 2500
/** Read-ahead per request in flight and partition, so that customers whose events wait do not block the others. */
const IN_FLIGHT_PER_REQUEST = 20
const MIN_IN_FLIGHT = 500
/** The same while all consumers together hold as many events as they may. */
const SPENT_IN_FLIGHT_PER_REQUEST = 2
const SPENT_MIN_IN_FLIGHT = 50
/** After an error of Redis. */
const ERROR_DELAY_MS = 1000

/**
 * Push over HTTP, directly from the log: the events of a customer one after the other, those of different customers
 * concurrently, acknowledged in batches after the receiver has accepted them. Only events that failed go to a queue in
 * Redis, for their further attempts, and are then acknowledged. So a failing event blocks neither the log nor other events.
 */
export function createHttpConsumer(settings: HttpSettings, context: PushContext): PushConsumer {
  const { name, from, maxAttempts, timeoutMs, concurrency } = settings
  const { keyPrefix, queueRedis, states, now } = context
  const limit = concurrency === undefined ? createAdaptiveLimit() : createFixedLimit(concurrency)
  const onQueueError = (error: unknown): void => context.onError(name, error)
  const readErrors = context.readErrorReporter(name)
  /** Aborted when nothing waits for Redis any longer. */
  const closing = new AbortController()
  setMaxListeners(0, closing.signal)

  const gate = createGate({
    limit,
    retryDelayMs: settings.retryDelayMs,
    maxRetryDelayMs: settings.maxRetryDelayMs,
    onIdleProbe: () => void probe().catch(onQueueError),
    onRecovered: async (sinceMs, signal) => {
      // Earlier if the outage began before this process, or before a pause.
      const { failingSinceMs = sinceMs } = await states.read(name)
      const firstMs = Math.min(sinceMs, failingSinceMs)
      if (firstMs < Number.POSITIVE_INFINITY) await worker.drain(firstMs, signal).catch(onQueueError)
    }
  })
  const pusher = createPusher(settings, limit.max, now)
  const queue = openPushQueue(queueRedis, keyPrefix, settings, gate.holdUntil)
  const attempter = createAttempter({ settings, context, pusher, gate, queue: queue.queue })
  const probe = createQueueProbe(queueRedis, queue.queue, attempter)
  const worker = createRetryWorker({
    settings,
    context,
    queue: queue.queue,
    attempter,
    gate,
    concurrency: limit.max
  })
  const processing: PartitionProcessorOptions<OutgoingEvent> = {
    keyPrefix,
    group: name,
    isWanted: compileEntryFilter(settings),
    readEvent,
    handle: async (event, { attempt }) => (await attempter.attempt(event, attempt)) === 'delivered',
    answerOf: error => (error instanceof AttemptFailed ? error.attempt.answer : 'failed'),
    afterFailure,
    maxInterrupted: Number.POSITIVE_INFINITY,
    semaphore: gate,
    maxInFlight: Math.max(MIN_IN_FLIGHT, limit.max * IN_FLIGHT_PER_REQUEST),
    budget: context.eventBudget,
    minInFlight: () => Math.max(SPENT_MIN_IN_FLIGHT, limit.current * SPENT_IN_FLIGHT_PER_REQUEST),
    onError
  }
  let member: GroupMember | undefined

  return {
    name,
    hasStoppedItself: () => gate.isShut,
    start: () => {
      gate.open()
      // An answer 410 pauses the queue in Redis, perhaps later than `consumers enable` resumed it.
      queue.queue.resume().catch(onQueueError)
      worker.resume()
      // A member cannot be started twice.
      member = joinGroup(
        {
          connect: context.connect,
          keyPrefix,
          group: name,
          member: context.member,
          from,
          // Requests in flight finish when the consumer is paused. When the service stops, `close` aborts them.
          stopTimeoutMs: timeoutMs + CLOSE_GRACE_MS,
          stopNow: closing.signal,
          onError
        },
        reader => processPartition(processing, reader)
      )
      void member.start()
    },
    stop: async () => {
      gate.shut()
      worker.pause()
      await member?.stop()
    },
    close: async () => {
      gate.shut()
      const grace = setTimeout(() => {
        pusher.abort()
        closing.abort()
      }, CLOSE_GRACE_MS)
      const fromLog = member?.stop().then(() => queue.queue.close())
      await withTimeout(CLOSE_LIMIT_MS, Promise.allSettled([fromLog, worker.close()]))
      worker.abandon()
      clearTimeout(grace)
      pusher.abort()
      closing.abort()
      await pusher.close()
    }
  }

  function afterFailure({ error, attempt, attempts, draining }: FailedAttempt): AfterFailure {
    if (!(error instanceof AttemptFailed)) {
      onError(error)
      return { next: 'retry', wait: pause(ERROR_DELAY_MS, draining) }
    }
    const isLast = !error.wasDown && attempt.attempt >= maxAttempts
    if (isLast) return { next: 'dead' }
    attempter.recordFailure(error, 'failed')
    if (error.wasDown) return { next: 'uncounted' }
    const delayMs = retryDelayMs(settings, attempt.attempt, error.retryAfterMs)
    if (settings.order === 'strict') return { next: 'retry', wait: gate.waitForRetry(delayMs, draining) }
    const lastAttempts = attempts.slice(-LAST_ATTEMPTS).map(formatPastAttempt)
    const event = { ...error.event, attemptsBefore: attempt.attempt, lastAttempts }
    const write = () => rejectOnAbort(closing.signal, queue.add({ event, delayMs }, draining))
    return { next: 'hand_over', write }
  }

  function onError(error: unknown, about?: ErrorContext): void {
    if (about === undefined) readErrors.report(error)
    else if (about.dead && error instanceof AttemptFailed) attempter.recordFailure(error, 'dead')
    else if (error instanceof MalformedEntryError) {
      context.countAttempts(name, 'dead', 1)
      context.reporter.reportMalformed(name, formatPosition(about.partition, about.entryId))
    }
  }
}

function readEvent({ partition, id, type, event }: ReadEntry) {
  const parsed = parseEnvelope(event)
  // Selected by the entry's type, before the event was parsed.
  if (parsed?.type !== type) return undefined
  const position = formatPosition(partition, id)
  return { key: parsed.subject ?? parsed.id, event: outgoingEventOf(parsed, { position, event }) }
}
