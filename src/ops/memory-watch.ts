import type { Logger } from './logger.ts'

export interface MemoryWatch {
  start(): void
  stop(): void
}

export interface MemoryWatchOptions {
  /** See `memoryShare`. */
  readonly share: () => Promise<number | undefined>
  readonly isRedisUp: () => boolean
  readonly onShare: (share: number) => void
  readonly log: Logger
  readonly intervalMs?: number
}

const INTERVAL_MS = 30_000
/** At a steady rate and seven days of retention, the last fifth takes more than a day to fill. */
const NEARLY_FULL = 0.8
/** How far it has to fall before it is worth another word when it rises again. */
const RELIEVED = 0.75

/** Says so before Redis is full: from then on deliveries are refused until old events go. */
export function watchMemory(options: MemoryWatchOptions): MemoryWatch {
  const { share, isRedisUp, onShare, log, intervalMs = INTERVAL_MS } = options
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
    // A Redis that does not answer is the monitor's news, and one that may not be asked is nobody's.
    const used = isRedisUp() ? await share().catch(() => undefined) : undefined
    if (stopped) return
    if (used !== undefined) judge(used)
    timer = setTimeout(() => void look(), intervalMs)
    timer.unref()
  }

  function judge(used: number): void {
    onShare(used)
    if (used < RELIEVED) warned = false
    if (used < NEARLY_FULL || warned) return
    warned = true
    log.warn(
      { usedShare: Math.round(used * 1000) / 1000 },
      'redis is nearly full: beyond maxmemory deliveries get 503; raise maxmemory, or lower EVENT_RETENTION_SECONDS'
    )
  }
}
