/** Shows on a terminal how far a long step is. Elsewhere it does nothing: a log needs no bar. */
export interface ProgressBar {
  readonly show: (step: string, share: number) => void
  /** Leaves no trace. */
  readonly clear: () => void
}

const WIDTH = 30
const INTERVAL_MS = 100

/** @param output standard error, so that standard output stays the report alone */
export function createProgressBar(output: NodeJS.WriteStream): ProgressBar {
  let shownAtMs = Number.NEGATIVE_INFINITY
  let shown = false
  return {
    show: (step, share) => {
      if (!output.isTTY) return
      const nowMs = performance.now()
      if (nowMs - shownAtMs < INTERVAL_MS) return
      shownAtMs = nowMs
      shown = true
      const full = Math.round(WIDTH * Math.max(0, Math.min(1, share)))
      const bar = '█'.repeat(full) + '░'.repeat(WIDTH - full)
      const percent = String(Math.floor(share * 100)).padStart(3)
      output.write(
        `\r\u001b[2K${bar} ${percent} % ${step}`.slice(0, Math.max(20, (output.columns ?? 80) + 4))
      )
    },
    clear: () => {
      if (shown) output.write('\r\u001b[2K')
      shown = false
    }
  }
}
