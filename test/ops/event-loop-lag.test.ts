import { setTimeout as sleep } from 'node:timers/promises'
import { collectDefaultMetrics, Registry } from 'prom-client'
import t from 'tap'
import { measureEventLoopLag } from '../../src/ops/event-loop-lag.ts'
import { until } from '../helpers/server.ts'

const register = new Registry()
collectDefaultMetrics({ register, eventLoopMonitoringPrecision: 2 ** 31 - 1 })
const names = register
  .getMetricsAsArray()
  .map(({ name }) => name)
  .filter(name => name.startsWith('nodejs_eventloop_lag'))
const stop = measureEventLoopLag(register)
t.teardown(stop)

async function lags(): Promise<ReadonlyMap<string, number>> {
  const lines = (await register.metrics()).split('\n')
  return new Map(lines.map(line => line.split(' ')).map(([name = '', value]) => [name, Number(value)]))
}

const block = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

t.test('the metrics of prom-client keep their names, and an idle event loop has no lag', async t => {
  t.equal(names.length, 8)
  const idle = await lags()
  t.same(
    names.filter(name => !idle.has(name)),
    []
  )
  // The time between two samples would be longer. On a busy machine, timers are late at times.
  await until('a time without lag', async () => {
    await sleep(600)
    return ((await lags()).get('nodejs_eventloop_lag_max_seconds') ?? 1) < 0.1
  })
})

t.test('a blocked event loop is seen once, in the next scrape', async t => {
  block(700)
  await sleep(300)
  const blocked = await lags()
  t.ok((blocked.get('nodejs_eventloop_lag_max_seconds') ?? 0) > 0.3)
  t.equal((await lags()).get('nodejs_eventloop_lag_max_seconds'), 0, 'without samples since the last scrape')
})

t.test('a busy event loop is sampled often enough for percentiles', async t => {
  await lags()
  await until('no lag but that of the blocks', async () => {
    const endMs = performance.now() + 1500
    while (performance.now() < endMs) {
      block(30)
      await sleep(1)
    }
    const busy = await lags()
    t.ok((busy.get('nodejs_eventloop_lag_p50_seconds') ?? 0) > 0.003)
    return (busy.get('nodejs_eventloop_lag_max_seconds') ?? 1) < 0.3
  })
})
