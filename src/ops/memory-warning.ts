// Tested by test/ops/memory-watch.test.ts.
import { formatDuration } from '../duration.ts'
import type { LogHold } from '../log/log-hold.ts'
import { type MemoryUsage, memoryUsageRatio } from '../redis/memory.ts'

/** A log line about Redis memory that is running out: usage, cause, time left, and what to do. */
interface MemoryWarning {
  readonly fields: Readonly<Record<string, number | string>>
  readonly message: string
}

/** If the unread events of a consumer use a smaller share of the memory in use, they are not the cause. */
const RELEVANT_SHARE = 0.1

/**
 * @param hold what keeps the log from being trimmed; `undefined` if it could not be read
 * @param fullInMs when memory will be full at the current rate; `undefined` if usage does not grow
 */
export function memoryWarning(
  usage: MemoryUsage,
  hold: LogHold | undefined,
  fullInMs: number | undefined
): MemoryWarning {
  const ratio = memoryUsageRatio(usage)
  const isFull = ratio >= 1
  const what = isFull
    ? 'Redis is full and deliveries get 503'
    : `Redis uses ${Math.floor(ratio * 100)} % of its maxmemory`
  const until = isFull
    ? ''
    : fullInMs === undefined
      ? '; usage is not growing now'
      : `; at the current rate deliveries get 503 in about ${formatDuration(1000 * Math.round(fullInMs / 1000))}`
  const projection = fullInMs === undefined || isFull ? {} : { fullInSeconds: Math.round(fullInMs / 1000) }
  const { cause, advice, fields } = explain()
  return {
    fields: { usedRatio: Math.round(ratio * 1000) / 1000, ...fields, ...projection },
    message: `${what}: ${cause}${until}. ${advice}`
  }

  function explain() {
    if (hold === undefined) {
      return {
        fields: {},
        cause: 'the cause is unknown, because the log could not be read',
        advice: 'Start every consumer, or raise maxmemory'
      }
    }
    const { logBytes, holder } = hold
    if (holder === undefined) {
      return {
        fields: { logBytes },
        cause: 'no consumer group reads the log, so events are only trimmed by age',
        advice: 'Start a consumer, lower EVENT_RETENTION_SECONDS, or raise maxmemory'
      }
    }
    const { consumer, unacknowledged, bytes, oldestAgeMs } = holder
    const fields = {
      logBytes,
      consumer,
      unacknowledged,
      unacknowledgedBytes: bytes,
      ...(oldestAgeMs === undefined ? {} : { oldestAgeSeconds: Math.round(oldestAgeMs / 1000) })
    }
    if (bytes >= RELEVANT_SHARE * usage.usedBytes) {
      return {
        fields,
        cause: `consumer ${consumer} has not acknowledged ${unacknowledged} events (${bytesText(bytes)}), and unread events are never trimmed`,
        advice: `Start that consumer again, remove it (cio-webhook consumers remove ${consumer}), or raise maxmemory`
      }
    }
    return {
      fields,
      cause: `events use only ${bytesText(logBytes)} of it, and acknowledged ones are trimmed already; the rest is the dedupe index (DEDUPE_WINDOW_SECONDS), parked deliveries, dead letters, push queues, or data of others`,
      advice: 'Raise maxmemory'
    }
  }
}

const bytesText = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`
