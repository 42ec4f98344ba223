export interface LoadWatch {
  /** Is the event loop too far behind to answer new deliveries in time? */
  isOverloaded(): boolean
  stop(): void
}

const CHECK_INTERVAL_MS = 250
/** How late a check is when new deliveries would not be answered in time. */
const OVERLOADED_DELAY_MS = 2000
/** One long turn is over when the next delivery comes: to turn that away helps only where they follow each other. */
const OVERLOADED_CHECKS = 2

export function watchLoad(): LoadWatch {
  let checkedMs = performance.now()
  let overloadedChecks = 0
  const timer = setInterval(() => {
    const nowMs = performance.now()
    const delayMs = nowMs - checkedMs - CHECK_INTERVAL_MS
    checkedMs = nowMs
    overloadedChecks = delayMs > OVERLOADED_DELAY_MS ? overloadedChecks + 1 : 0
  }, CHECK_INTERVAL_MS)
  timer.unref()
  return {
    isOverloaded: () => overloadedChecks >= OVERLOADED_CHECKS,
    stop: () => clearInterval(timer)
  }
}
