import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Machine } from './machine.ts'
import { median } from './median.ts'
import type { Measurement } from './running.ts'

/** When, where and of what something was measured. */
export interface Circumstances {
  /** When it began: ISO 8601. */
  readonly date: string
  readonly machine: Machine
  readonly versions: Readonly<Record<string, string>>
}

/** Content of bench/results/<date>.json. By contestant, one measurement per round. */
export interface Results extends Circumstances {
  readonly command: string
  readonly plan: object
  readonly titles: Readonly<Record<string, string>>
  /** Half of this service's maximum, in deliveries per second. */
  readonly halfMaximum: number
  readonly closed: Readonly<Record<string, readonly Measurement[]>>
  /** The same load; one in ten deliveries repeats an id. */
  readonly repeats: Readonly<Record<string, readonly Measurement[]>>
  /** By contestant and offered rate. */
  readonly open: Readonly<Record<string, Readonly<Record<string, readonly Measurement[]>>>>
}

/**
 * Writes the results of a benchmark into bench/results.
 *
 * @param name of the benchmark, for the name of the file; none for the comparison of deliveries
 * @param plot as SVG, if there is one
 * @returns what was written, for the user
 */
export function writeResults<T extends Pick<Circumstances, 'date'>>(
  results: T,
  name?: string,
  plot?: string
): string {
  const folder = join('bench', 'results')
  const minute = results.date.slice(0, 16).replace(/[:T]/g, '-')
  const file = join(folder, name === undefined ? minute : `${minute}-${name}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 1)}\n`)
  if (plot !== undefined) writeFileSync(`${file}.svg`, plot)
  return `written to ${file}.json${plot === undefined ? '' : ' and .svg'}`
}

export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
}

export function spreadOf<T>(measured: readonly T[] | undefined, read: (measurement: T) => number): Spread {
  const values = (measured ?? []).map(read)
  return { median: median(values), low: Math.min(...values), high: Math.max(...values) }
}

export const totalCpuUs = ({ serviceCpuUs, redisCpuUs }: Measurement): number => serviceCpuUs + redisCpuUs

/** Compares round by round, since the machine's load changes. `undefined` if one of the two did not run. */
export function ratioOf<T>(
  over: readonly T[] | undefined,
  under: readonly T[] | undefined,
  read: (measurement: T) => number
): Spread | undefined {
  if (over === undefined || under === undefined) return undefined
  const ratios = over.flatMap((measurement, round) => {
    const other = under[round]
    return other === undefined ? [] : [read(measurement) / read(other)]
  })
  return { median: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) }
}
