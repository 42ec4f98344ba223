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
