import type { Machine } from './machine.ts'
import { median } from './median.ts'
import type { Measurement } from './running.ts'

/** Content of bench/results/<date>.json. By contestant, one measurement per round. */
export interface Results {
  readonly date: string
  readonly command: string
  readonly machine: Machine
  readonly versions: Readonly<Record<string, string>>
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
