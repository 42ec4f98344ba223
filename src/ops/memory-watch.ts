import type { Logger } from './logger.ts'

/** Looks at how full Redis is, and says so before it is: a full one takes no events until old ones go. */
export interface MemoryWatch {
  start(): void
  stop(): void
}

export interface MemoryWatchOptions {
  /** See `memoryShare`. */
  readonly share: () => Promise<number | undefined>
  readonly onShare: (share: number) => void
  readonly log: Logger
  readonly intervalMs?: number
}

const INTERVAL_MS = 10_000
/** At a steady rate and seven days of retention, the last fifth takes more than a day to fill. */
const NEARLY_FULL = 0.8
/** How far it has to fall before it is worth another word when it rises again. */
const RELIEVED = 0.75

export function watchMemory(options: MemoryWatchOptions): MemoryWatch {
  const { share, onShare, log, intervalMs = INTERVAL_MS } = options
  let warned = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  return {
    start: () => void look(),
    stop: () => {
      stopped = true
      clearTimeout(timer)
    }
  }

  async function look(): Promise<void> {
    // A Redis that does not answer is the monitor's news.
    const used = (await share().catch(() => undefined)) ?? 0
    if (stopped) return
    onShare(used)
    warn(used)
    timer = setTimeout(() => void look(), intervalMs)
    timer.unref()
  }

  function warn(used: number): void {
    if (used < RELIEVED) warned = false
    if (used < NEARLY_FULL || warned) return
    warned = true
    log.warn(
      { usedShare: Math.round(used * 1000) / 1000 },
      'redis is nearly full: beyond maxmemory deliveries get 503; raise maxmemory, or lower EVENT_RETENTION_SECONDS'
    )
  }
}
