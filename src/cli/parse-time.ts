import { UsageError } from './command.ts'

const UNITS_MS = new Map([
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000]
])

/**
 * A time on the command line: an ISO 8601 date or time, or how long ago (`90s`, `30m`, `12h`, `7d`).
 *
 * @returns unix milliseconds
 * @throws UsageError that says what is allowed
 */
export function parseTime(option: string, text: string, nowMs: number): number {
  const [, amount, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const agoMs = Number(amount) * (UNITS_MS.get(unit) ?? Number.NaN)
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : nowMs - agoMs
  if (!Number.isNaN(atMs)) return atMs
  throw new UsageError(
    `${option} must be a time such as 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d`
  )
}
