// Tested by test/dispatch/http/strict-order.slow.test.ts.
/** Pauses before retries, which can be ended together. */
interface Pauses {
  /** Resolves after the time, when the pause is ended, or when the signal is aborted. */
  wait(delayMs: number, signal: AbortSignal): Promise<void>
  /** Ends those that began at this time or later, unix milliseconds. */
  endSince(sinceMs: number): void
}

export function createPauses(): Pauses {
  /** How to end each, and when it began. */
  const running = new Map<() => void, number>()
  return {
    wait: (delayMs, signal) =>
      new Promise(resolve => {
        const end = (): void => {
          clearTimeout(timer)
          running.delete(end)
          signal.removeEventListener('abort', end)
          resolve()
        }
        const timer = setTimeout(end, delayMs)
        running.set(end, Date.now())
        signal.addEventListener('abort', end, { once: true })
        if (signal.aborted) end()
      }),
    endSince: sinceMs => {
      for (const [end, beganAtMs] of running) if (beganAtMs >= sinceMs) end()
    }
  }
}
