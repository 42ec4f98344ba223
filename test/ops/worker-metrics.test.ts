import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import t from 'tap'
import { createMetricsSum } from '../../src/ops/worker-metrics.ts'

/** The metrics of a worker that has counted something. */
function metricsOf(count: number) {
  const register = new Registry()
  const shared = { help: 'Of a test', registers: [register] }
  new Counter({ ...shared, name: 'a_total', labelNames: ['source'] }).inc({ source: 'default' }, count)
  new Histogram({ ...shared, name: 'b_seconds', buckets: [1] }).observe(count)
  new Gauge({ ...shared, name: 'c', aggregator: 'max' }).set(count)
  return register.getMetricsAsJSON()
}

const samples = (text: string): readonly string[] =>
  text.split('\n').filter(line => /^(a_total|b_seconds_(count|sum)|c)\b/.test(line))

t.test('what a worker has counted stays in the sum when it ends, and its gauges do not', async t => {
  const sum = createMetricsSum<string>()
  sum.set('one', await metricsOf(3))
  sum.set('two', await metricsOf(2))
  sum.set('two', await metricsOf(5))
  const both = ['a_total{source="default"} 8', 'b_seconds_sum 8', 'b_seconds_count 2']
  t.same(samples(await sum.text()), [...both, 'c 5'])
  sum.end('two')
  t.same(samples(await sum.text()), [...both, 'c 3'])

  for (const worker of ['three', 'four']) {
    sum.set(worker, await metricsOf(1))
    sum.end(worker)
  }
  sum.end('one')
  sum.end('never asked')
  t.same(samples(await sum.text()), ['a_total{source="default"} 10', 'b_seconds_sum 10', 'b_seconds_count 4'])
  t.same(samples(await sum.text()), ['a_total{source="default"} 10', 'b_seconds_sum 10', 'b_seconds_count 4'])
})
