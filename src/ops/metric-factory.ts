// Tested by test/ops/metrics.test.ts and test/dispatch/dispatcher.slow.test.ts.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Labels } from './metric-kinds.ts'
import { metricTable } from './metric-table.ts'

type MetricName = keyof typeof metricTable
type NameOf<Kind extends 'counter' | 'gauge' | 'histogram'> = {
  [Name in MetricName]: (typeof metricTable)[Name]['kind'] extends Kind ? Name : never
}[MetricName]

/**
 * Makes metrics of the table.
 *
 * @param configured names of the sources or consumers: the values of labels that are `configured`
 */
export function metricFactory(register: Registry, configured: readonly string[] = []) {
  const optionsOf = (name: MetricName) => {
    const { help, labels } = metricTable[name]
    return { name, help, labelNames: Object.keys(labels), registers: [register] }
  }
  return {
    counter: (name: NameOf<'counter'>): Counter => {
      const counter = new Counter(optionsOf(name))
      for (const labels of initialSeries(metricTable[name].labels, configured)) counter.inc(labels, 0)
      return counter
    },
    histogram: (name: NameOf<'histogram'>): Histogram =>
      new Histogram({ ...optionsOf(name), buckets: metricTable[name].buckets }),
    /** @param collect sets the series at each scrape; those of the scrape before are removed */
    gauge: (name: NameOf<'gauge'>, collect?: (gauge: Gauge) => void | Promise<void>): Gauge =>
      new Gauge({
        ...optionsOf(name),
        aggregator: metricTable[name].aggregator,
        ...(collect && {
          async collect() {
            this.reset()
            await collect(this)
          }
        })
      })
  }
}

/** All combinations of the labels' values; none where a value is only known later. */
function initialSeries(
  labels: Labels,
  configured: readonly string[]
): readonly Readonly<Record<string, string>>[] {
  let series: readonly Readonly<Record<string, string>>[] = [{}]
  for (const [label, values] of Object.entries(labels)) {
    const known = values === 'configured' ? configured : values === 'observed' ? [] : values
    series = series.flatMap(one => known.map(value => ({ ...one, [label]: value })))
  }
  return series
}
