/** How many requests may be in flight. */
export interface ConcurrencyLimit {
  readonly current: number
  /** The most that it can become. */
  readonly max: number
  /** @param inFlight requests in flight, this one included */
  delivered(durationMs: number, inFlight: number): void
  /** The receiver may be overloaded: it did not answer in time, or said so. */
  overloaded(): void
  /** For a reason that may have nothing to do with the load. */
  failed(): void
  /** After an outage: few at first, so that the receiver is not overloaded again. */
  restart(): void
}

const START = 4
const MAX = 100
/** After so many windows the latency with few requests in flight is measured again: it may have changed. */
const MEASURE_WINDOWS = 50
/** Latencies up to this are not a sign of overload, whatever the base is. */
const TOLERATED_MS = 20
const TOLERATED_FACTOR = 2
const AFTER_RISE = 0.9
const AFTER_OVERLOAD = 0.5

/**
 * Adapts the limit by AIMD (additive increase, multiplicative decrease, as in TCP), with latency as a second sign of
 * overload (as in TCP Vegas). After each window, which is as many answers as the limit, it grows by one if the average
 * latency is at most twice the base (or 20 ms), and otherwise shrinks by a tenth. Overload halves it, at most once per
 * window; so do other failures if they are more than the window's answers. It does not grow while it is not used. The base
 * is the lowest average since it was last measured: every 50 windows, during two windows at half of the limit (as in BBR).
 * The limit starts at 4, and is at most 100.
 */
export function createAdaptiveLimit(): ConcurrencyLimit {
  let limit = START
  let baseMs = Number.POSITIVE_INFINITY
  let windows = 0
  let window = newWindow()
  const isMeasuring = (): boolean => windows >= MEASURE_WINDOWS
  const current = (): number => Math.max(1, Math.floor(isMeasuring() ? limit / 2 : limit))

  return {
    get current() {
      return current()
    },
    max: MAX,
    delivered: (durationMs, inFlight) => {
      window.answers++
      window.totalMs += durationMs
      if (inFlight > window.mostInFlight) window.mostInFlight = inFlight
      if (window.answers >= current()) endWindow()
    },
    overloaded: halve,
    failed: () => {
      window.failures++
    },
    restart: () => {
      limit = Math.min(limit, START)
    }
  }

  function halve(): void {
    if (window.isOverloaded) return
    window.isOverloaded = true
    limit = Math.max(1, limit * AFTER_OVERLOAD)
  }

  function endWindow(): void {
    const averageMs = window.totalMs / window.answers
    windows++
    if (window.failures > window.answers) halve()
    // The first of the two windows still has answers to requests that were sent before.
    if (windows === MEASURE_WINDOWS + 2) {
      baseMs = averageMs
      windows = 0
    } else if (!isMeasuring()) {
      baseMs = Math.min(baseMs, averageMs)
      const isSlow = averageMs > Math.max(TOLERATED_MS, TOLERATED_FACTOR * baseMs)
      if (isSlow) limit = Math.max(1, limit * AFTER_RISE)
      else if (!window.isOverloaded && window.mostInFlight >= current()) limit = Math.min(MAX, limit + 1)
    }
    window = newWindow()
  }
}

function newWindow() {
  return { answers: 0, totalMs: 0, mostInFlight: 0, failures: 0, isOverloaded: false }
}

/** The configured limit. Only after an outage it is lower, and grows by one with each success. */
export function createFixedLimit(max: number): ConcurrencyLimit {
  let limit = max
  return {
    get current() {
      return limit
    },
    max,
    delivered: () => {
      if (limit < max) limit++
    },
    overloaded: () => {},
    failed: () => {},
    restart: () => {
      limit = Math.min(max, START)
    }
  }
}
