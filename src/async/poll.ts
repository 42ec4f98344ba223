import { onTick, TICK_MS } from './tick.ts'

/** Runs a function again and again, one run at a time. Its timer does not keep the process alive. */
interface PollingLoop {
  /** The first run is one interval from now. */
  start(): void
  /** Runs now and starts the loop; does nothing while a run is in progress. */
  runNow(): void
  /** Prevents further runs. Resolves when the current one has ended. */
  stop(): Promise<void>
  readonly isStopped: boolean
}

/**
 * @param intervalMs from the end of one run to the start of the next. From half a second on, runs start at a tick of the
 *   process, so that an idle process wakes up for all loops together: the wait is up to an eighth of a second shorter or longer
 * @param onError receives what a run rejects with; without it, a rejection ends the process
 */
export function createPollingLoop(
  run: () => Promise<void>,
  intervalMs: number | (() => number),
  onError?: (error: unknown) => void
): PollingLoop {
  let cancel = (): void => {}
  let current: Promise<void> | undefined
  let isStopped = false
  return {
    start: schedule,
    runNow,
    stop: async () => {
      isStopped = true
      cancel()
      await current
    },
    get isStopped() {
      return isStopped
    }
  }

  function schedule(): void {
    if (isStopped) return
    cancel()
    cancel = callOnce(runNow, typeof intervalMs === 'number' ? intervalMs : intervalMs())
  }

  function runNow(): void {
    if (isStopped || current !== undefined) return
    cancel()
    current = run()
      .catch(onError)
      .finally(() => {
        current = undefined
        schedule()
      })
  }
}

/** @returns cancels the call */
function callOnce(call: () => void, afterMs: number): () => void {
  if (afterMs < 2 * TICK_MS) {
    const timer = setTimeout(call, afterMs).unref()
    return () => clearTimeout(timer)
  }
  const dueMs = performance.now() + afterMs - TICK_MS / 2
  const stop = onTick(() => {
    if (performance.now() < dueMs) return
    stop()
    call()
  })
  return stop
}
