import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { Gauge, type Registry } from 'prom-client'
import { onTick, TICK_MS } from '../async/tick.ts'

interface LagGauge {
  readonly help: string
  /** How the values of several workers are combined. */
  readonly aggregator: 'average' | 'max' | 'min'
  /** @returns nanoseconds */
  readonly read: (lag: RecordableHistogram) => number
}

const gauge = (what: string, aggregator: LagGauge['aggregator'], read: LagGauge['read']): LagGauge => ({
  help: `${what} of how late timers of the event loop were since the last scrape, in seconds.`,
  aggregator,
  read
})

/** The names that prom-client gives them. */
const gauges: Readonly<Record<string, LagGauge>> = {
  nodejs_eventloop_lag_seconds: gauge('Mean', 'average', lag => lag.mean),
  nodejs_eventloop_lag_min_seconds: gauge('Minimum', 'min', lag => lag.min),
  nodejs_eventloop_lag_max_seconds: gauge('Maximum', 'max', lag => lag.max),
  nodejs_eventloop_lag_mean_seconds: gauge('Mean', 'average', lag => lag.mean),
  nodejs_eventloop_lag_stddev_seconds: gauge('Standard deviation', 'average', lag => lag.stddev),
  nodejs_eventloop_lag_p50_seconds: gauge('50th percentile', 'average', lag => lag.percentile(50)),
  nodejs_eventloop_lag_p90_seconds: gauge('90th percentile', 'average', lag => lag.percentile(90)),
  nodejs_eventloop_lag_p99_seconds: gauge('99th percentile', 'average', lag => lag.percentile(99))
}

/** Between two samples while the event loop is busy. */
const BUSY_SAMPLE_MS = 20
/** From this share of the time on, the event loop is busy: below, most samples would be wake-ups of their own. */
const BUSY = 0.25

/**
 * Replaces prom-client's metrics of the event loop, which take a sample every 10 ms: they wake up an idle process 100 times
 * per second. Here an idle process takes one per tick. The values do not contain the time between two samples.
 *
 * @param register has prom-client's default metrics
 * @returns ends the samples
 */
export function measureEventLoopLag(register: Registry): () => void {
  const lag = createHistogram()
  const names = Object.keys(gauges)
  for (const [name, { help, aggregator, read }] of Object.entries(gauges)) {
    register.removeSingleMetric(name)
    new Gauge({
      name,
      help,
      aggregator,
      registers: [register],
      collect() {
        this.set(lag.count === 0 ? 0 : read(lag) / 1e9)
        if (name === names.at(-1)) lag.reset()
      }
    })
  }
  const sample = createSampler(lag, TICK_MS)
  let used = performance.eventLoopUtilization()
  let busy: NodeJS.Timeout | undefined
  const stopTicks = onTick(() => {
    sample()
    const usedBefore = used
    used = performance.eventLoopUtilization()
    const isBusy = performance.eventLoopUtilization(used, usedBefore).utilization > BUSY
    if (!isBusy) stopBusy()
    else busy ??= setInterval(createSampler(lag, BUSY_SAMPLE_MS), BUSY_SAMPLE_MS).unref()
  })
  return () => {
    stopTicks()
    stopBusy()
  }

  function stopBusy(): void {
    clearInterval(busy)
    busy = undefined
  }
}

/** @returns records how much later than `intervalMs` after the previous call it is called */
function createSampler(lag: RecordableHistogram, intervalMs: number): () => void {
  let sampledMs = performance.now()
  return () => {
    const nowMs = performance.now()
    // Whole nanoseconds, at least one.
    lag.record(Math.max(1, Math.round((nowMs - sampledMs - intervalMs) * 1e6)))
    sampledMs = nowMs
  }
}
