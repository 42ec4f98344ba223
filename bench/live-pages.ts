/**
 * Whether people who look at the console's overview slow down deliveries: the same rate of deliveries, half of the
 * maximum, with and without five live pages. And how long the page takes. A million events are in the log, and the
 * statistics of a whole day. Arguments: number of events, rounds.
 */
import { get } from 'node:http'
import { ageBuckets, durationBuckets } from '../src/receive/delivery-stats.ts'
import { connectRedis } from '../src/redis/connect.ts'
import { historyOf, loadHistory } from '../test/helpers/event-history.ts'
import { freePort, until } from '../test/helpers/server.ts'
import { serviceCommand } from './contestants.ts'
import { fillDayOfDeliveries } from './day-of-deliveries.ts'
import { median } from './median.ts'
import { type Measurement, startRunning } from './running.ts'

const [EVENTS = 1_000_000, ROUNDS = 5] = process.argv.slice(2).map(Number)
const CONNECTIONS = 64
const SECONDS = 8
const LIVE_PAGES = 5
const PAGE_LOADS = 20
/** Longer than a status is shared, so that each page reads everything. */
const PAUSE_MS = 3100
const headers = { 'x-user': 'ada' }

const consolePort = await freePort()
const url = `http://127.0.0.1:${consolePort}`
const running = await startRunning(
  {
    name: 'service',
    title: 'this service with its console',
    policy: 'customerio',
    log: 'service',
    repeatsAre: 'duplicate',
    redis: {},
    start: ({ redisPort, ...seat }) =>
      serviceCommand(seat, {
        REDIS_URL: `redis://127.0.0.1:${redisPort}`,
        EVENT_RETENTION_SECONDS: '31536000',
        CONSOLE_PORT: String(consolePort),
        CONSOLE_IDENTITY_HEADER: 'x-user',
        TRUSTED_PROXIES: '127.0.0.1'
      })
  },
  async ({ address, client }) => {
    const redis = connectRedis(address)
    await until('a connection', async () => redis.status === 'ready')
    await loadHistory(redis, historyOf(EVENTS, 1))
    redis.disconnect()
    const buckets = Array.from({ length: durationBuckets.count }, (_, bucket) => [`duration:${bucket}`, 10])
    const ages = Array.from({ length: ageBuckets.count }, (_, bucket) => [`age:${bucket}`, 10])
    await fillDayOfDeliveries(client, {
      'outcome:default:accepted': 600,
      'outcome:default:duplicate': 10,
      'key:default:current': 610,
      ...Object.fromEntries([...buckets, ...ages])
    })
  }
)
await running.measure({ connections: CONNECTIONS, count: 15_000 })
print(`${EVENTS} events in the log, Node ${process.version}`)
await measurePage('/')
await measurePage('/sources')
const { report: closed } = await running.measure({ connections: CONNECTIONS, seconds: 6 })
const rate = Math.round(closed.throughput / 2)
print(`maximum ${Math.round(closed.throughput)} deliveries/s, so ${rate} deliveries/s are offered`)

const results: Readonly<Record<'without' | 'with', Measurement[]>> = { without: [], with: [] }
for (let round = 0; round < ROUNDS; round++) {
  // The order changes, so that a drift of the machine concerns both.
  for (const side of round % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const)) {
    const close = side === 'with' ? await openLivePages() : () => {}
    results[side].push(await running.measure({ connections: CONNECTIONS, rate, seconds: SECONDS }))
    close()
  }
}
for (const side of ['without', 'with'] as const) {
  const of = (figure: (measurement: Measurement) => number): string =>
    `${median(results[side].map(figure)).toFixed(2)} (${results[side].map(one => figure(one).toFixed(2)).join(' ')})`
  print(`${side} ${LIVE_PAGES} live pages, median of ${ROUNDS}:`)
  print(`  p50 ms ${of(({ report }) => report.latencyMs.p50)}`)
  print(`  p99 ms ${of(({ report }) => report.latencyMs.p99)}`)
  print(`  service CPU µs per delivery ${of(({ serviceCpuUs }) => serviceCpuUs)}`)
  print(`  others, CPUs ${of(({ foreignCpus }) => foreignCpus)}`)
}
const p99 = (side: 'without' | 'with'): number =>
  median(results[side].map(({ report }) => report.latencyMs.p99))
print(`p99 with live pages / without: ${(p99('with') / p99('without')).toFixed(3)}`)
await running.stop()

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function measurePage(path: string): Promise<void> {
  const times: number[] = []
  for (let load = 0; load < PAGE_LOADS; load++) {
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
    const startedMs = performance.now()
    const response = await fetch(`${url}${path}`, { headers })
    await response.text()
    if (response.status !== 200) throw new Error(`${path}: status ${response.status}`)
    times.push(performance.now() - startedMs)
  }
  times.sort((a, b) => a - b)
  const at = (share: number): string =>
    (times[Math.floor((times.length - 1) * share)] ?? Number.NaN).toFixed(1)
  print(`${path}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, ${times.length} times`)
}

/** Resolves when all have their first part. */
async function openLivePages(): Promise<() => void> {
  const closes = await Promise.all(
    Array.from(
      { length: LIVE_PAGES },
      () =>
        new Promise<() => void>((resolve, reject) => {
          const request = get(`${url}/live/overview`, { agent: false, headers }, response => {
            response.on('error', () => {})
            response.once('data', () => resolve(() => request.destroy()))
            response.resume()
          })
          request.once('error', reject)
        })
    )
  )
  return () => {
    for (const close of closes) close()
  }
}
