/** A column: its heading, and what stands in it. Numbers are set to the right. */
export interface Column<T> {
  readonly heading: string
  readonly value: (row: T) => string | number | undefined
}

/** Rows under headings, as wide as they need; `-` where there is nothing. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const cells = rows.map(row => columns.map(({ value }) => value(row)))
  const widths = columns.map(({ heading }, index) =>
    Math.max(heading.length, ...cells.map(row => shown(row[index]).length))
  )
  const line = (row: readonly (string | number | undefined)[]): string =>
    row
      .map((cell, index) => {
        const width = widths[index] ?? 0
        return typeof cell === 'number' ? shown(cell).padStart(width) : shown(cell).padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [line(columns.map(({ heading }) => heading)), ...cells.map(line)].map(text => `${text}\n`).join('')
}

/** On one line, whatever it holds: nothing in it can move a terminal's cursor. */
const shown = (cell: string | number | undefined): string =>
  cell === undefined || cell === '' ? '-' : String(cell).replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?')

/** `3 s`, `12 min`, `5 h`, `2 d`: the largest unit there are two of. */
export function duration(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000]
  ] as const
  const [unit, length] = units.find(([, length]) => ms >= 2 * length) ?? ['s', 1000]
  return `${Math.floor(ms / length)} ${unit}`
}
