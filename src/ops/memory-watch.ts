import { createPollingLoop } from '../async/poll.ts'
import type { LogHold } from '../log/log-hold.ts'
import { PRESSURE } from '../log/memory-relief.ts'
import { type MemoryUsage, memoryUsageRatio } from '../redis/memory.ts'
import type { Logger } from './logger.ts'
import { createMemoryForecast } from './memory-forecast.ts'
import { memoryWarning } from './memory-warning.ts'

/** Frees memory when Redis is filling up. If that is not enough, it warns before deliveries get 503. */
interface MemoryWatch {
  start(): void
  stop(): Promise<void>
}

interface MemoryWatchOptions {
  /** See redis/memory.ts. */
  readonly usage: () => Promise<MemoryUsage | undefined>
  /** Frees memory. @returns false if there is more to free */
  readonly relieve: () => Promise<boolean>
  readonly readHold: () => Promise<LogHold>
  readonly onUsedRatio: (usedRatio: number) => void
  readonly log: Logger
  /** Monotonic milliseconds. */
  readonly now: () => number
  readonly intervalMs?: number
}

/** Fast enough for bursts: at 2,000 events of 1 kB per second, a fifth of 64 MB lasts for 6 s. */
const INTERVAL_MS = 1000
/** The warning is repeated this often. */
const REPEAT_MS = 10 * 60 * 1000
/** Usage below which the warning is over. */
const RECOVERED = 0.75

export function watchMemory(options: MemoryWatchOptions): MemoryWatch {
  const { usage, relieve, readHold, onUsedRatio, log, now, intervalMs = INTERVAL_MS } = options
  const forecast = createMemoryForecast()
  /** The last warning, until it is over. */
  let warned: { readonly atMs: number; readonly wasFull: boolean } | undefined
  const loop = createPollingLoop(check, intervalMs)
  return { start: loop.runNow, stop: loop.stop }

  /** Never rejects. If Redis does not answer, that is reported by the monitor. */
  async function check(): Promise<void> {
    let used = await read()
    let isFinished = true
    if (used !== undefined && memoryUsageRatio(used) >= PRESSURE) {
      // Errors of Redis are logged elsewhere too; this log line is about usage.
      isFinished = await relieve().catch(error => {
        log.debug({ err: error }, 'Redis memory could not be freed early')
        return true
      })
      used = await read()
    }
    if (used === undefined || loop.isStopped) return
    forecast.add(memoryUsageRatio(used), now())
    if (isFinished) await report(used)
  }

  async function read(): Promise<MemoryUsage | undefined> {
    const used = await usage().catch(() => undefined)
    onUsedRatio(used === undefined ? 0 : memoryUsageRatio(used))
    return used
  }

  async function report(used: MemoryUsage): Promise<void> {
    const ratio = memoryUsageRatio(used)
    if (ratio < RECOVERED && warned !== undefined) {
      log.info({ usedRatio: ratio }, 'Redis has enough free memory again')
      warned = undefined
    }
    if (ratio < PRESSURE) return
    const isFull = ratio >= 1
    const isWorse = warned === undefined || (isFull && !warned.wasFull)
    if (!isWorse && warned !== undefined && now() - warned.atMs < REPEAT_MS) return
    const hold = await readHold().catch(() => undefined)
    const { fields, message } = memoryWarning(used, hold, forecast.fullInMs())
    log[isFull ? 'error' : 'warn'](fields, message)
    warned = { atMs: now(), wasFull: isFull }
  }
}
