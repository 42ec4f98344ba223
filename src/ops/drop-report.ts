import type { Dropped } from '../log/stream-limits.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'

/** Counts and logs parked deliveries and dead letters that were dropped, so that none disappears silently. */
interface DropReport {
  report(dropped: Dropped): void
  stop(): void
}

/** During a flood, every delivery can drop another one: one log line per minute has the sum. */
const INTERVAL_MS = 60_000

const variables: Readonly<Record<Dropped['what'], Readonly<Record<Dropped['reason'], string>>>> = {
  'parked deliveries': { age: 'PARKED_RETENTION_SECONDS', size: 'PARKED_MAX_BYTES' },
  'dead letters': { age: 'DEAD_LETTER_RETENTION_SECONDS', size: 'DEAD_LETTER_MAX_BYTES' }
}

export function createDropReport(metrics: Pick<Metrics, 'dropped'>, log: Logger): DropReport {
  const pending = new Map<string, Dropped>()
  let timer: NodeJS.Timeout | undefined

  return {
    report: dropped => {
      metrics.dropped(dropped)
      const key = `${dropped.what} ${dropped.reason} ${dropped.consumer ?? ''}`
      pending.set(key, { ...dropped, entries: dropped.entries + (pending.get(key)?.entries ?? 0) })
      if (timer !== undefined) return
      logPending()
      timer = setTimeout(tick, INTERVAL_MS)
      timer.unref()
    },
    stop: () => {
      clearTimeout(timer)
      logPending()
    }
  }

  function tick(): void {
    timer = undefined
    logPending()
  }

  function logPending(): void {
    for (const { what, consumer, reason, entries } of pending.values()) {
      const limit = variables[what][reason]
      const whose = consumer === undefined ? '' : ` of consumer ${consumer}`
      log.warn(
        { dropped: entries, reason, consumer },
        `${entries} ${what}${whose} were dropped: they exceeded ${limit}. Process the others (cio-webhook consumers), or raise ${limit}`
      )
    }
    pending.clear()
  }
}
