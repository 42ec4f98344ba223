// Tested by test/consume/consumer-faults.slow.test.ts.
const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Calls `stop` on the first SIGTERM or SIGINT, and then sends the signal again without a listener, so that the process
 * ends by it. A second signal ends the process at once.
 *
 * @returns a function that removes the listeners
 */
export function endOnSignals(stop: () => Promise<void>): () => void {
  const ignore = (): void => {
    for (const signal of SIGNALS) process.off(signal, end)
  }
  const end = (signal: NodeJS.Signals): void => {
    ignore()
    void stop().finally(() => process.kill(process.pid, signal))
  }
  for (const signal of SIGNALS) process.on(signal, end)
  return ignore
}
