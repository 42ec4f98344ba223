const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Stops on the first SIGTERM or SIGINT, and then lets the signal do what it does without us, which is to end the
 * process unless somebody else listens too. A second one does that at once.
 *
 * @returns what takes the listeners off again
 */
export function endOnSignals(stop: () => Promise<void>): () => void {
  const ignore = (): void => {
    for (const signal of SIGNALS) process.off(signal, end)
  }
  const end = (signal: NodeJS.Signals): void => {
    ignore()
    void stop().finally(() => {
      if (process.listenerCount(signal) === 0) process.kill(process.pid, signal)
    })
  }
  for (const signal of SIGNALS) process.on(signal, end)
  return ignore
}
