const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000]
] as const

/** `40 s`, `12 min`, `5 h`, `2 d`: in the largest unit of which there are at least two, rounded down. */
export function formatDuration(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, unitMs]) => ms >= 2 * unitMs) ?? ['s', 1000]
  return `${Math.floor(ms / unitMs)} ${unit}`
}

/** Beyond it, a `Date` is invalid (ECMA-262, 21.4.1.1). The id of an entry, which another program can choose, can be larger. */
const MAX_TIME_MS = 8.64e15

/** A time as RFC 3339, in UTC; `undefined` if it is not one. @param ms unix milliseconds */
export const isoTime = (ms: number): string | undefined =>
  Math.abs(ms) <= MAX_TIME_MS ? new Date(ms).toISOString() : undefined
