// Tested by test/dispatch/http/http-consumer.slow.test.ts.
import { singleFlight } from '../../async/single-flight.ts'
import { formatPastAttempt, type PastAttempt } from '../../group/past-attempt.ts'
import type { Tracing } from '../../ops/spans.ts'
import type { HttpSettings } from '../../settings/http-consumer.ts'
import type { PushContext } from '../push-context.ts'
import { startPushSpan } from '../send-span.ts'
import type { Gate } from './gate.ts'
import type { PushQueue, QueuedEvent } from './push-queue.ts'
import type { Pusher, PushFailure, PushOutcome } from './request.ts'

/** An attempt that failed. Its message is the reason, in our own words. */
export class AttemptFailed extends Error {
  /** In dead letters the reason stands alone, such as `status 503`. */
  override readonly name = ''
  readonly event: QueuedEvent
  readonly attempt: PastAttempt
  readonly retryAfterMs: number | undefined
  /** The receiver was known to be down: the failure says nothing about the event. */
  readonly wasDown: boolean

  constructor(event: QueuedEvent, attempt: PastAttempt, pushed: PushFailure, wasDown: boolean) {
    super(pushed.reason)
    this.event = event
    this.attempt = attempt
    this.retryAfterMs = pushed.retryAfterMs
    this.wasDown = wasDown
    // BullMQ keeps the stacks of the last errors with the event: so all replicas know the attempts.
    this.stack = formatPastAttempt(attempt)
  }
}

/** Makes the attempts of one consumer, and reports them to its gate and to the log of attempts. */
export interface Attempter {
  /**
   * One request, for which the gate has given a permit. A failure is not recorded: it depends on what follows.
   *
   * @returns `gone` after 410: the consumer is disabled. `aborted`: the service stops. Neither counts
   * @throws AttemptFailed; the error of Redis if the consumer could not be disabled
   */
  attempt(event: QueuedEvent, number: number): Promise<'delivered' | 'gone' | 'aborted'>
  recordFailure(failure: AttemptFailed, outcome: 'failed' | 'dead'): void
}

interface AttempterOptions {
  readonly settings: Pick<HttpSettings, 'name' | 'url'>
  readonly context: Pick<PushContext, 'states' | 'attempts' | 'reporter' | 'tracing' | 'now'>
  readonly pusher: Pusher
  readonly gate: Gate
  readonly queue: PushQueue['queue']
}

export function createAttempter(options: AttempterOptions): Attempter {
  const { settings, context, pusher, gate, queue } = options
  const { states, attempts, reporter, tracing, now } = context
  const consumer = settings.name
  /** Several requests in flight can be answered with 410. */
  const disable = singleFlight(async () => {
    gate.shut()
    try {
      await states.disable(consumer, 'answered 410 (Gone)')
      await queue.pause()
    } catch (error) {
      // Otherwise it would stay shut until the next start, and nothing would say why.
      gate.open()
      throw error
    }
  })

  return {
    attempt: async (event, number) => {
      const [atMs, startedMs] = [now(), performance.now()]
      const pushed = await (tracing === undefined
        ? pusher.push(event, event.trace)
        : tracedPush(tracing, event, number))
      if (pushed.kind === 'aborted') return 'aborted'
      const { answer } = pushed
      const durationMs = performance.now() - startedMs
      const done = { attempt: number, atMs, answer, durationMs }
      if (pushed.kind === 'failed')
        throw new AttemptFailed(event, done, pushed, gate.failed({ ...pushed, atMs }))
      if (pushed.kind === 'delivered') gate.delivered(durationMs)
      else await disable()
      attempts.record({ ...done, consumer, eventIds: [event.id], outcome: pushed.kind })
      return pushed.kind
    },
    recordFailure: ({ event: { id, type }, attempt, message: reason }, outcome) => {
      attempts.record({ ...attempt, consumer, eventIds: [id], outcome, failure: reason })
      if (outcome === 'dead')
        reporter.report({ consumer, eventId: id, type, attempts: attempt.attempt, reason })
    }
  }

  async function tracedPush(tracing: Tracing, event: QueuedEvent, number: number): Promise<PushOutcome> {
    const span = startPushSpan(tracing, settings, event, number)
    const pushed = await pusher.push(event, span?.trace ?? event.trace)
    if (span === undefined) return pushed
    const answer = pushed.kind === 'aborted' ? 'aborted' : pushed.answer
    const status = /^\d{3}$/.test(answer) ? Number(answer) : undefined
    span.end({ 'http.response.status_code': status }, pushed.kind === 'delivered' ? undefined : answer)
    return pushed
  }
}
