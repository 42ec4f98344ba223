// Tested by test/receive/overload.slow.test.ts.
import { onTick, TICK_MS } from '../async/tick.ts'

export interface LoadWatch {
  /** Whether the event loop is too far behind to answer new deliveries in time. */
  isOverloaded(): boolean
  stop(): void
}

/** With a check this late, new deliveries are not answered in time. */
const OVERLOADED_DELAY_MS = 2000
/** A single long turn has ended when the next delivery is read. Only repeated ones justify refusing deliveries. */
const OVERLOADED_CHECKS = 2

export function watchLoad(): LoadWatch {
  let checkedMs = performance.now()
  let overloadedChecks = 0
  const stop = onTick(() => {
    const nowMs = performance.now()
    const delayMs = nowMs - checkedMs - TICK_MS
    checkedMs = nowMs
    overloadedChecks = delayMs > OVERLOADED_DELAY_MS ? overloadedChecks + 1 : 0
  })
  return {
    isOverloaded: () => overloadedChecks >= OVERLOADED_CHECKS,
    stop
  }
}
