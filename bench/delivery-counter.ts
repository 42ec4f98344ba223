/**
 * What counting a delivery costs the process, and what reading the counts costs.
 *
 * Usage: node build/bench/delivery-counter.js
 */
import { createDeliveryCounter } from '../src/receive/delivery-counter.ts'
import { readDeliveryStats } from '../src/receive/delivery-stats.ts'
import { connectRedis } from '../src/redis/connect.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { until } from '../test/helpers/server.ts'
import { testSource } from '../test/helpers/source.ts'
import { fillDayOfDeliveries } from './day-of-deliveries.ts'
import { machineLine } from './machine.ts'

const DELIVERIES = 2_000_000
const HOUR_MS = 3_600_000

const server = await startRedis()
const redis = connectRedis(server.address)
await until('a connection', async () => redis.status === 'ready')

const counter = createDeliveryCounter({
  redis,
  keyPrefix: 'cio:',
  sources: ['default'],
  isRedisUp: () => true,
  now: Date.now
})
const source = testSource()
const cpuUs = (): number => {
  const { user, system } = process.cpuUsage()
  return user + system
}

function record(n: number): void {
  const nowMs = performance.now()
  const startedMs = nowMs - (n % 50)
  const listed = { listed: true, addressAllowed: true, barred: false }
  counter.record(
    { source, address: '', startedMs, ...listed, key: 'current', ageSeconds: n % 90 },
    'accepted',
    nowMs
  )
}

const beforeUs = cpuUs()
for (let n = 0; n < DELIVERIES; n++) record(n)
const recordUs = (cpuUs() - beforeUs) / DELIVERIES
let flushUs = 0
const FLUSHES = 100
for (let n = 0; n < FLUSHES; n++) {
  for (let more = 0; more < 500; more++) record(more)
  const startUs = cpuUs()
  await counter.stop()
  flushUs += cpuUs() - startUs
}
console.log(machineLine())
console.log(
  `${recordUs.toFixed(3)} µs of CPU per delivery, ${(flushUs / FLUSHES / 1000).toFixed(2)} ms of CPU per second for the call to Redis`
)

const [filled = ''] = await server.client.keys('cio:{deliveries}:minute:*')
const fields = await server.client.hgetall(filled)
await fillDayOfDeliveries(server.client, fields)
const nowMs = Date.now()
for (const hours of [1, 24]) {
  const range = { fromMs: nowMs - hours * HOUR_MS, toMs: nowMs }
  const timesMs: number[] = []
  const startUs = cpuUs()
  for (let n = 0; n < 21; n++) {
    const startedMs = performance.now()
    await readDeliveryStats(redis, 'cio:', range)
    timesMs.push(performance.now() - startedMs)
  }
  const cpuMs = (cpuUs() - startUs) / 21 / 1000
  const median = timesMs.sort((a, b) => a - b)[10] ?? 0
  console.log(
    `${hours} h read in ${median.toFixed(1)} ms (median of 21), ${cpuMs.toFixed(1)} ms of CPU, ${Object.keys(fields).length} fields per row`
  )
}
redis.disconnect()
await server.stop()
