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
 * @param intervalMs from the end of one run to the start of the next
 * @param onError receives what a run rejects with; without it, a rejection ends the process
 */
export function createPollingLoop(
  run: () => Promise<void>,
  intervalMs: number | (() => number),
  onError?: (error: unknown) => void
): PollingLoop {
  let timer: NodeJS.Timeout | undefined
  let current: Promise<void> | undefined
  let isStopped = false
  return {
    start: schedule,
    runNow,
    stop: async () => {
      isStopped = true
      clearTimeout(timer)
      await current
    },
    get isStopped() {
      return isStopped
    }
  }

  function schedule(): void {
    if (isStopped) return
    timer = setTimeout(runNow, typeof intervalMs === 'number' ? intervalMs : intervalMs())
    timer.unref()
  }

  function runNow(): void {
    if (isStopped || current !== undefined) return
    clearTimeout(timer)
    current = run()
      .catch(onError)
      .finally(() => {
        current = undefined
        schedule()
      })
  }
}
