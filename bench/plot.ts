import { type BarChart, drawCharts } from './bar-chart.ts'
import { type Results, spreadOf } from './results.ts'

/** @returns an SVG bar chart of the CPU time per delivery: the process, then its Redis */
export function drawPlot(results: Results): string {
  const rows = Object.entries(results.closed).map(([name, measured]) => ({
    title: results.titles[name] ?? name,
    rounds: measured.map(({ serviceCpuUs, redisCpuUs }) => ({ processUs: serviceCpuUs, redisUs: redisCpuUs }))
  }))
  const chart = cpuChart('CPU time per delivery at maximum throughput, 64 connections', rows)
  return drawCharts('CPU time per delivery, of each contestant and its Redis', [chart], results)
}

interface CpuRow {
  readonly title: string
  /** Microseconds of CPU time, one measurement per round. */
  readonly rounds: readonly { readonly processUs: number; readonly redisUs: number }[]
}

/** Microseconds of CPU time of processes, each with its Redis. */
export function cpuChart(title: string, rows: readonly CpuRow[]): BarChart {
  const bars = rows.map(({ title, rounds }) => {
    const { median, low, high } = spreadOf(rounds, ({ processUs, redisUs }) => processUs + redisUs)
    const lengths = [
      spreadOf(rounds, ({ processUs }) => processUs).median,
      spreadOf(rounds, ({ redisUs }) => redisUs).median
    ]
    return { title, lengths, low, high, label: `${median.toFixed(0)} µs` }
  })
  const parts = [
    { name: 'the process', color: '#2f6f9f' },
    { name: 'its Redis', color: '#d9822b' }
  ]
  return { title, parts, bars }
}
