import { terminalSafe } from './terminal.ts'

type Cell = string | number | undefined

/** Numbers are aligned to the right. */
interface Column<T> {
  readonly heading: string
  readonly value: (row: T) => Cell
}

/** Rows under headings, in columns as wide as their content; `-` for an empty cell. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const lines = [
    columns.map(({ heading }): Cell => heading),
    ...rows.map(row => columns.map(({ value }) => value(row)))
  ]
  const widths = columns.map((_, index) => Math.max(...lines.map(line => shown(line[index]).length)))
  return lines
    .map(line =>
      line
        .map((cell, index) => {
          const width = widths[index] ?? 0
          return typeof cell === 'number' ? shown(cell).padStart(width) : shown(cell).padEnd(width)
        })
        .join('  ')
        .trimEnd()
    )
    .map(line => `${line}\n`)
    .join('')
}

/** Names and values, one pair per line, indented; pairs without a value are left out. */
export function fieldList(fields: readonly (readonly [name: string, value: string | undefined])[]): string {
  const width = Math.max(14, ...fields.map(([name]) => name.length))
  return fields
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `  ${name.padEnd(width)} ${shown(value)}`)
    .join('\n')
}

const shown = (cell: Cell): string => (cell === undefined || cell === '' ? '-' : terminalSafe(String(cell)))
