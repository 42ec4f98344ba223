import type { Logger } from '../ops/logger.ts'

/** A failed attempt, as log lines show it. */
export interface FailedAttempt {
  readonly consumer: string
  readonly eventIds: readonly string[]
  readonly attempt: number
  readonly answer: string
  readonly durationMs: number
  readonly error?: unknown
}

/** Log lines about consumers that fail and recover: a few per minute and consumer, however many attempts fail. */
export interface OutageReporter {
  failed(attempt: FailedAttempt): void
  delivered(consumer: string): void
  /** It answered 410. */
  disabled(attempt: FailedAttempt): void
}

/** How often a failure is repeated while it lasts. */
const REPEAT_INTERVAL_MS = 60_000

interface Outage {
  /** Since when every attempt has failed; `undefined` while the last one succeeded. */
  sinceMs: number | undefined
  /** Failed attempts since then. */
  failed: number
  /** Failed attempts since the last line. */
  notLogged: number
  loggedAtMs: number
  /** Whether this outage was logged, and its end must be logged. */
  isLogged: boolean
  isDisabled: boolean
}

export function createOutageReporter(log: Logger, now: () => number): OutageReporter {
  const outages = new Map<string, Outage>()
  return {
    failed: ({ consumer, eventIds, attempt, answer, durationMs, error }) => {
      const outage = outageOf(consumer)
      outage.sinceMs ??= now()
      outage.failed++
      outage.notLogged++
      outage.isDisabled = false
      // A consumer that fails and recovers many times per second must not flood the log.
      if (now() - outage.loggedAtMs < REPEAT_INTERVAL_MS) return
      log.warn(
        {
          consumer,
          id: eventIds[0],
          attempt,
          answer,
          ms: Math.round(durationMs),
          failedAttempts: outage.notLogged,
          ...(outage.isLogged && { failingForMs: now() - outage.sinceMs }),
          ...(error !== undefined && { err: error })
        },
        outage.isLogged
          ? 'delivery to the consumer still fails: its events are kept and retried'
          : 'delivery to the consumer fails: its events are kept and retried'
      )
      Object.assign(outage, { loggedAtMs: now(), notLogged: 0, isLogged: true })
    },
    delivered: consumer => {
      const outage = outages.get(consumer)
      if (outage === undefined) return
      outage.isDisabled = false
      if (outage.sinceMs === undefined) return
      const { sinceMs, failed, isLogged } = outage
      Object.assign(outage, { sinceMs: undefined, failed: 0, isLogged: false })
      if (!isLogged) return
      log.info(
        { consumer, failedForMs: now() - sinceMs, failedAttempts: failed },
        'delivery to the consumer works again'
      )
    },
    disabled: ({ consumer, eventIds, attempt, answer, durationMs }) => {
      const outage = outageOf(consumer)
      // Requests in flight at the same time get the same answer.
      if (outage.isDisabled) return
      outage.isDisabled = true
      log.error(
        { consumer, id: eventIds[0], attempt, answer, ms: Math.round(durationMs) },
        `consumer disabled: it answered 410 (Gone), and its events wait. When it accepts events again: cio-webhook consumers enable ${consumer}`
      )
    }
  }

  function outageOf(consumer: string): Outage {
    const known = outages.get(consumer)
    if (known !== undefined) return known
    const outage: Outage = {
      sinceMs: undefined,
      failed: 0,
      notLogged: 0,
      loggedAtMs: Number.NEGATIVE_INFINITY,
      isLogged: false,
      isDisabled: false
    }
    outages.set(consumer, outage)
    return outage
  }
}
