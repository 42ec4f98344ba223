import { duration, parseIsoTime } from '../settings/parse.ts'
import { UsageError } from './command.ts'

/**
 * A time on a command line: an ISO 8601 date or time (UTC if it has no zone), or how long ago (`90s`, `30m`, `12h`, `7d`).
 *
 * @returns unix milliseconds
 * @throws UsageError
 */
export function parseTime(option: string, text: string, nowMs: number): number {
  const agoSeconds = duration.parse(text)
  if (agoSeconds !== undefined) return nowMs - agoSeconds * 1000
  const atMs = parseIsoTime(text)
  if (atMs !== undefined) return atMs
  throw new UsageError(
    `${option} must be a time such as 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d`
  )
}
