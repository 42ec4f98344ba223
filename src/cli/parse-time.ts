import { duration } from '../settings/parse.ts'
import { UsageError } from './command.ts'

/**
 * A time on a command line: an ISO 8601 date or time, or how long ago (`90s`, `30m`, `12h`, `7d`).
 *
 * @returns unix milliseconds
 * @throws UsageError
 */
export function parseTime(option: string, text: string, nowMs: number): number {
  const agoSeconds = duration.parse(text)
  if (agoSeconds !== undefined) return nowMs - agoSeconds * 1000
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(atMs)) return atMs
  throw new UsageError(
    `${option} must be a time such as 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d`
  )
}
