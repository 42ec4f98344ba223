import type { LogHold } from '../log/log-hold.ts'
import { type MemoryUsage, memoryUsageRatio } from '../redis/memory.ts'

/** A log line about a Redis that fills up: what, why, until when, and what to do. */
export interface MemoryWarning {
  readonly fields: Readonly<Record<string, number | string>>
  readonly message: string
}

/** A consumer that has less than this share of the used memory unread is not why Redis is full. */
const MATTERS = 0.1

/** @param hold `undefined` where Redis did not tell @param fullInMs when memory will be full at the current rate; `undefined` where usage does not grow */
export function memoryWarning(
  usage: MemoryUsage,
  hold: LogHold | undefined,
  fullInMs: number | undefined
): MemoryWarning {
  const ratio = memoryUsageRatio(usage)
  const isFull = ratio >= 1
  const what = isFull
    ? 'redis is full and deliveries get 503'
    : `redis uses ${Math.floor(ratio * 100)} % of its maxmemory`
  const until = isFull
    ? ''
    : fullInMs === undefined
      ? '; usage is not growing at the moment'
      : `; at the current rate deliveries get 503 in about ${durationText(fullInMs)}`
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
        cause: 'what takes it could not be read',
        advice: 'Start every consumer, or raise maxmemory'
      }
    }
    const { logBytes, holder } = hold
    if (holder === undefined) {
      return {
        fields: { logBytes },
        cause: 'no consumer group reads the log, so events are trimmed by their age alone',
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
    if (bytes >= MATTERS * usage.usedBytes) {
      return {
        fields,
        cause: `consumer ${consumer} has not acknowledged ${unacknowledged} events (${bytesText(bytes)}), and unread events are never trimmed`,
        advice: `Start that consumer again, remove it (cio-webhook consumers remove ${consumer}), or raise maxmemory`
      }
    }
    return {
      fields,
      cause: `events take only ${bytesText(logBytes)} of it and read ones are trimmed already; the rest is remembered ids (DEDUPE_WINDOW_SECONDS), parked deliveries, dead letters, push queues, or not ours`,
      advice: 'Raise maxmemory'
    }
  }
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000]
] as const

/** `40 s`, `12 min`, `5 h`, `2 d`: the largest unit there are two of. */
function durationText(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, unitMs]) => ms >= 2 * unitMs) ?? ['s', 1000]
  return `${Math.round(ms / unitMs)} ${unit}`
}

const bytesText = (bytes: number): string =>
  bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`
