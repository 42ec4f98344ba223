import { type Results, type Spread, spreadOf, totalCpuUs } from './results.ts'
import type { Measurement } from './running.ts'
import { evaluateTargets, type TargetOutcome } from './targets.ts'

/** Prints the tables and targets. */
export function printResults(results: Results): void {
  const { machine, closed, repeats, open, titles } = results
  print(`\n${machine.cpu}, ${machine.cores} cores; ${results.date}; ${results.command}`)
  print(versionLine(results.versions))

  const headings = [
    'deliveries/s',
    'CPU µs: process',
    'Redis',
    'both',
    'p50 ms',
    'p99',
    'p99.9',
    'RSS MB',
    'Redis MB',
    'others'
  ]
  print(
    '\nMaximum throughput, 64 connections; medians of the rounds (lowest-highest); others: CPUs used by other processes'
  )
  printTable(headings, rowsOf(titles, closed))
  print('\nThe same; one in ten deliveries repeats an id')
  printTable(headings, rowsOf(titles, repeats))

  for (const rate of ratesOf(open)) {
    print(`\nAt ${rate} deliveries/s, Poisson arrivals; latency is measured from the time a delivery was due`)
    const atRate = Object.fromEntries(Object.entries(open).map(([name, rates]) => [name, rates[rate] ?? []]))
    const late = Object.values(atRate).flatMap(list => list.map(({ report }) => report.lateMs.p99))
    printTable(headings, rowsOf(titles, atRate))
    print(`the load generator was ${round(Math.min(...late))} to ${round(Math.max(...late))} ms late at p99`)
  }

  printTargets(evaluateTargets(results))
}

export function printTargets(outcomes: readonly TargetOutcome[]): void {
  print('\nTargets')
  for (const { text, measured, met } of outcomes) {
    print(`  ${met ? 'met   ' : 'missed'}  ${text}: ${show(measured)}`)
  }
}

function ratesOf(open: Results['open']): string[] {
  const rates = new Set(Object.values(open).flatMap(byRate => Object.keys(byRate)))
  return [...rates].sort((a, b) => Number(a) - Number(b))
}

function rowsOf(
  titles: Results['titles'],
  measured: Readonly<Record<string, readonly Measurement[]>>
): (readonly [string, string[]])[] {
  const columns: readonly ((measurement: Measurement) => number)[] = [
    ({ report }) => report.throughput,
    ({ serviceCpuUs }) => serviceCpuUs,
    ({ redisCpuUs }) => redisCpuUs,
    totalCpuUs,
    ({ report }) => report.latencyMs.p50,
    ({ report }) => report.latencyMs.p99,
    ({ report }) => report.latencyMs.p999,
    ({ serviceRssMb }) => serviceRssMb,
    ({ redisRssMb }) => redisRssMb,
    ({ foreignCpus }) => foreignCpus
  ]
  return Object.entries(measured)
    .filter(([, list]) => list.length > 0)
    .map(([name, list]) => [titles[name] ?? name, columns.map(column => show(spreadOf(list, column)))])
}

export function show({ median, low, high }: Spread): string {
  return low === high ? round(median) : `${round(median)} (${round(low)}-${round(high)})`
}

/** Three significant digits: more would be noise. */
function round(value: number): string {
  if (!Number.isFinite(value)) return '-'
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export function printTable(
  headings: readonly string[],
  rows: readonly (readonly [string, string[]])[]
): void {
  const lines = [['', ...headings], ...rows.map(([name, cells]) => [name, ...cells])]
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map(line => line[column]?.length ?? 0))) ?? []
  for (const line of lines) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)
    )
    print(`  ${cells.join('  ')}`)
  }
}

const versionLine = (versions: Results['versions']): string =>
  Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
