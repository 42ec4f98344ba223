import { backoffMs } from '../../async/backoff.ts'
import type { Semaphore } from '../../async/semaphore.ts'
import type { ConcurrencyLimit } from './concurrency-limit.ts'
import { addFailure, type GateFailure, meansDown, NO_FAILURES } from './failures-in-a-row.ts'
import { createPauses } from './pauses.ts'

/**
 * Decides when a request may be sent to one receiver: at most as many at once as the limit, and none while the receiver is
 * down, except probes. `acquire` is for events from the log, `acquireRetry` for events from the queue; both give a permit
 * that `release` returns.
 *
 * The receiver is down after several failures in a row: at least as many as requests are in flight, so that one which
 * refuses every third event is not. Then one event from the log is sent as a probe, and the next one after a longer pause,
 * until a request succeeds. Then the failed events from the queue come first.
 */
export interface Gate extends Semaphore {
  /** @returns false if the gate is shut: the event stays in the queue */
  acquireRetry(): Promise<boolean>
  /** @param durationMs of the request, for the limit */
  delivered(durationMs: number): void
  /** @returns whether the receiver was known to be down before: then the failure says nothing about its event */
  failed(failure: GateFailure): boolean
  /** Until when the receiver has asked for no requests, in milliseconds from now; 0: it has not. */
  holdMs(): number
  /** Gives no permits to events from the log until the promise settles, because failed events could not be queued. */
  holdUntil(room: Promise<unknown>): void
  /** Resolves after `delayMs`, or when the receiver is up again after an outage, or when the signal is aborted. */
  waitForRetry(delayMs: number, signal: AbortSignal): Promise<void>
  /** Gives permits from now on. The receiver counts as up. */
  open(): void
  /** Gives no more permits. */
  shut(): void
  readonly isShut: boolean
}

interface GateOptions {
  readonly limit: ConcurrencyLimit
  readonly retryDelayMs: number
  readonly maxRetryDelayMs: number
  /** Called if a probe is due and no event from the log waits for it. */
  readonly onIdleProbe: () => void
  /**
   * Called when the receiver is up again, and at the first success after `open`. Events from the log wait until it resolves.
   *
   * @param sinceMs when the first request that failed began, unix milliseconds; Infinity: none did since `open`
   * @param signal aborted when the receiver is down again, or the gate shut
   */
  readonly onRecovered: (sinceMs: number, signal: AbortSignal) => Promise<void>
}

/** Nobody wants to wait hours for the first event after an outage. */
const MAX_PROBE_DELAY_MS = 30_000
const PROBE_FACTOR = 3

const GRANTED = Promise.resolve(true)
const REFUSED = Promise.resolve(false)

export function createGate(options: GateOptions): Gate {
  const { limit, maxRetryDelayMs } = options
  const maxMs = Math.min(MAX_PROBE_DELAY_MS, maxRetryDelayMs)
  const probeDelays = { firstMs: Math.min(options.retryDelayMs, maxMs), maxMs }
  const fresh = new Set<(granted: boolean) => void>()
  const retries = new Set<(granted: boolean) => void>()
  const pauses = createPauses()
  let state: 'open' | 'down' | 'recovering' | 'shut' = 'shut'
  let [inFlight, holds, probes] = [0, 0, 0]
  let row = NO_FAILURES
  /** Infinity until the first success after `open`: an outage may have begun before it. */
  let downSinceMs = Number.POSITIVE_INFINITY
  let isProbeDue = false
  let probeTimer: NodeJS.Timeout | undefined
  let [probeAtMs, heldUntilMs] = [0, 0]
  let recovery = new AbortController()
  const probeDelayMs = (): number => backoffMs(probeDelays, ++probes, { factor: PROBE_FACTOR })
  const hasProbe = (): boolean => probeTimer !== undefined || isProbeDue
  const heldForMs = (): number => Math.max(0, Math.ceil(heldUntilMs - performance.now()))

  return {
    acquire: signal => {
      if (signal.aborted) return REFUSED
      if (takeFresh()) return GRANTED
      return new Promise(resolve => {
        const settle = (granted: boolean): void => {
          fresh.delete(settle)
          signal.removeEventListener('abort', refuse)
          resolve(granted)
        }
        const refuse = (): void => settle(false)
        fresh.add(settle)
        signal.addEventListener('abort', refuse, { once: true })
      })
    },
    acquireRetry: () => {
      if (state === 'shut') return REFUSED
      if (takeRetry()) return GRANTED
      return new Promise(resolve => void retries.add(resolve))
    },
    release: () => {
      inFlight--
      // A probe ended without an outcome, for example because the lease was lost.
      if (state === 'down' && inFlight === 0 && !hasProbe()) schedule(Math.max(heldForMs(), probeDelayMs()))
      grantAll()
    },
    delivered: durationMs => {
      limit.delivered(durationMs, inFlight)
      isUp()
    },
    failed: failure => {
      const { retryAfterMs = 0 } = failure
      if (failure.cause === 'event' && retryAfterMs === 0) {
        isUp()
        return false
      }
      const wasDown = state === 'down'
      row = addFailure(row, failure)
      const isDown = wasDown || retryAfterMs > 0 || meansDown(row, inFlight)
      if (failure.cause === 'overload') limit.overloaded()
      else limit.failed()
      if (isDown && state !== 'shut') goDown(Math.min(retryAfterMs, maxRetryDelayMs))
      return wasDown
    },
    holdMs: heldForMs,
    holdUntil: room => {
      holds++
      const end = (): void => {
        holds--
        grantAll()
      }
      room.then(end, end)
    },
    waitForRetry: pauses.wait,
    open: () => {
      if (state !== 'shut') return
      state = 'open'
      row = NO_FAILURES
      downSinceMs = Number.POSITIVE_INFINITY
      grantAll()
    },
    shut: () => {
      state = 'shut'
      endOutage()
      recovery.abort()
      for (const settle of retries) settle(false)
      retries.clear()
    },
    get isShut() {
      return state === 'shut'
    }
  }

  function isUp(): void {
    row = NO_FAILURES
    // Requests that were in flight may still be answered while the receiver asks for a pause.
    const mayHaveBeenDown = state === 'open' && downSinceMs === Number.POSITIVE_INFINITY
    if (mayHaveBeenDown || (state === 'down' && heldForMs() === 0)) recover()
  }

  function takeFresh(): boolean {
    if (state === 'open' ? holds > 0 || inFlight >= limit.current : state !== 'down' || !isProbeDue)
      return false
    isProbeDue = false
    inFlight++
    return true
  }

  function takeRetry(): boolean {
    if (state === 'shut' || inFlight >= (state === 'down' ? 1 : limit.current)) return false
    inFlight++
    return true
  }

  function grantAll(): void {
    for (const settle of retries) {
      if (!takeRetry()) break
      retries.delete(settle)
      settle(true)
    }
    for (const settle of fresh) {
      if (!takeFresh()) break
      settle(true)
    }
  }

  function goDown(holdMs: number): void {
    if (state !== 'down') {
      state = 'down'
      downSinceMs = row.sinceMs
      probes = 0
      recovery.abort()
    }
    heldUntilMs = Math.max(heldUntilMs, performance.now() + holdMs)
    // Late failures of requests that were in flight change nothing, unless they ask for a longer pause.
    if (!hasProbe()) schedule(holdMs || probeDelayMs())
    if (probeAtMs < heldUntilMs) schedule(heldForMs())
  }

  function schedule(delayMs: number): void {
    clearTimeout(probeTimer)
    probeAtMs = performance.now() + delayMs
    isProbeDue = false
    probeTimer = setTimeout(probe, delayMs).unref()
  }

  function probe(): void {
    probeTimer = undefined
    isProbeDue = true
    grantAll()
    if (!isProbeDue) return
    // Until the next probe, an event that comes from the log, or whose pause ends now, is sent at once.
    pauses.endSince(downSinceMs)
    options.onIdleProbe()
    probeTimer = setTimeout(probe, probeDelayMs()).unref()
  }

  function recover(): void {
    endOutage()
    limit.restart()
    state = 'recovering'
    recovery = new AbortController()
    const { signal } = recovery
    pauses.endSince(downSinceMs)
    grantAll()
    const done = (): void => {
      if (signal.aborted || state !== 'recovering') return
      state = 'open'
      grantAll()
    }
    options.onRecovered(downSinceMs, signal).then(done, done)
    downSinceMs = 0
  }

  function endOutage(): void {
    clearTimeout(probeTimer)
    probeTimer = undefined
    isProbeDue = false
    probeAtMs = 0
    heldUntilMs = 0
  }
}
