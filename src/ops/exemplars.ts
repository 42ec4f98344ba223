// Tested by test/ops/openmetrics.slow.test.ts and test/workers.slow.test.ts.
import { Gauge, type Registry } from 'prom-client'
import { metricTable } from './metric-table.ts'

/**
 * Carries the exemplars through the registry, as a series for each. So they take the same way as the metrics when those
 * of several workers are combined. `/metrics` never shows it: see openmetrics.ts.
 */
export const EXEMPLARS = 'cio_exemplars'

/** The histograms that have exemplars. */
type DurationHistogram = 'cio_delivery_duration_seconds' | 'cio_redis_call_duration_seconds'

interface Exemplars {
  /** Remembers an observation of a recorded trace, in place of the one before in the same bucket. */
  observe(histogram: DurationHistogram, seconds: number, traceId: string): void
}

interface Exemplar {
  readonly labels: Readonly<Record<'histogram' | 'le' | 'trace_id' | 'seconds', string>>
  readonly unixSeconds: number
}

/** @param now unix milliseconds */
export function createExemplars(register: Registry, now: () => number): Exemplars {
  const latest = new Map<string, Exemplar>()
  new Gauge({
    name: EXEMPLARS,
    help: 'Exemplars of histograms; the value is their unix time',
    labelNames: ['histogram', 'le', 'trace_id', 'seconds'],
    aggregator: 'max',
    registers: [register],
    collect() {
      this.reset()
      for (const { labels, unixSeconds } of latest.values()) this.set(labels, unixSeconds)
    }
  })
  return {
    observe: (histogram, seconds, traceId) => {
      const le = String(metricTable[histogram].buckets.find(bound => seconds <= bound) ?? '+Inf')
      const labels = { histogram, le, trace_id: traceId, seconds: String(seconds) }
      latest.set(`${histogram} ${le}`, { labels, unixSeconds: now() / 1000 })
    }
  }
}
