// Tested by test/consume/consumer-faults.slow.test.ts.
const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Stops on the first SIGTERM or SIGINT, and then sends the signal again, so that the process ends by it as it would
 * without a listener. A second signal does that at once.
 *
 * @returns removes the listeners
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
