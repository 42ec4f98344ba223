/** Shows the progress of a long task on a terminal. On other outputs it does nothing. */
interface ProgressBar {
  /** @param share from 0 to 1 */
  readonly show: (step: string, share: number) => void
  /** Erases the bar. */
  readonly clear: () => void
}

const WIDTH = 30
const INTERVAL_MS = 100
const DEFAULT_COLUMNS = 80
const ERASE_LINE = '\r\u001b[2K'

/** @param output standard error, so that standard output contains only the report */
export function createProgressBar(
  output: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>,
  now: () => number = () => performance.now()
): ProgressBar {
  let shownAtMs = Number.NEGATIVE_INFINITY
  let shown = false
  return {
    show: (step, share) => {
      if (!output.isTTY) return
      const nowMs = now()
      if (nowMs - shownAtMs < INTERVAL_MS) return
      shownAtMs = nowMs
      shown = true
      const full = Math.round(WIDTH * Math.max(0, Math.min(1, share)))
      const bar = '█'.repeat(full) + '░'.repeat(WIDTH - full)
      const percent = String(Math.floor(Math.min(1, share) * 100)).padStart(3)
      // Some terminals give their width as 0.
      const line = `${bar} ${percent} % ${step}`.slice(0, (output.columns || DEFAULT_COLUMNS) - 1)
      output.write(ERASE_LINE + line)
    },
    clear: () => {
      if (shown) output.write(ERASE_LINE)
      shown = false
    }
  }
}
