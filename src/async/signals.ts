const SIGNALS = ['SIGTERM', 'SIGINT'] as const

/**
 * Stops on the first SIGTERM or SIGINT, and then sends the signal once more, to have the process end by it as if
 * nobody had listened. A second one does that at once.
 *
 * @returns what takes the listeners off again
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
