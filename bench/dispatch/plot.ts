import { type BarChart, drawCharts } from '../bar-chart.ts'
import { cpuChart } from '../plot.ts'
import { spreadOf } from '../results.ts'
import type { DispatchResults, Measured } from './results.ts'

/** @returns an SVG with the CPU time per event and the latency of each way; none if neither was measured */
export function drawDispatchPlot(results: DispatchResults): string | undefined {
  const { throughput, latency } = results.measured
  const charts = [
    ...(throughput === undefined ? [] : [throughputChart(throughput)]),
    ...(latency === undefined ? [] : [latencyChart(latency, results.sizes.rate)])
  ]
  if (charts.length === 0) return undefined
  return drawCharts('CPU time and latency of each way to consumers', charts, results)
}

function throughputChart(throughput: Measured['throughput']): BarChart {
  const rows = Object.entries(throughput).map(([title, measured]) => ({
    title,
    rounds: measured.map(({ perCpuSecond, redisCpuUs }) => ({
      processUs: 1e6 / perCpuSecond,
      redisUs: redisCpuUs
    }))
  }))
  return cpuChart('CPU time per event, as fast as possible', rows)
}

function latencyChart(latency: Measured['latency'], rate: number): BarChart {
  const bars = Object.entries(latency).map(([title, measured]) => {
    const p50 = spreadOf(measured, latencies => latencies.p50).median
    const p99 = spreadOf(measured, latencies => latencies.p99)
    return {
      title,
      lengths: [p50, p99.median - p50],
      low: p99.low,
      high: p99.high,
      label: `${p50.toFixed(p50 < 10 ? 1 : 0)} and ${p99.median.toFixed(0)} ms`
    }
  })
  const parts = [
    { name: 'p50', color: '#3d8b6e' },
    { name: 'p99', color: '#b5d6c6' }
  ]
  return { title: `Latency (p50 and p99) at ${rate.toLocaleString('en')} events per second`, parts, bars }
}
