import { UsageError } from './command.ts'

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/**
 * A moment on a command line: an ISO 8601 date or time, or how long ago (`90s`, `30m`, `12h`, `7d`).
 *
 * @returns unix milliseconds
 * @throws UsageError that says what is taken
 */
export function parseMoment(option: string, text: string, nowMs: number): number {
  const ago = /^(\d{1,6})([smhd])$/.exec(text)
  if (ago !== null) return nowMs - Number(ago[1]) * UNITS_MS[ago[2] as keyof typeof UNITS_MS]
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(atMs)) return atMs
  throw new UsageError(`${option} takes a time such as 2026-11-24T10:00:00Z, or 90s, 30m, 12h, 7d ago`)
}
