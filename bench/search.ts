import { hash, randomBytes } from 'node:crypto'
import { connectRedis } from '../src/redis/connect.ts'
import { eventPath } from '../src/tools/events/event-path.ts'
import { searchEvents } from '../src/tools/events/search.ts'
import type { EventQuery } from '../src/tools/events/walk-log.ts'
import { historyOf, idOf, loadHistory } from '../test/helpers/event-history.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { until } from '../test/helpers/server.ts'
import { startTestService } from '../test/helpers/service.ts'

/**
 * Searches in a log of a million events, and what deliveries notice of it, in alternating rounds. Arguments: number of
 * events, partitions. Every second event has an id that is not of Customer.io.
 */
const [EVENTS = 1_000_000, PARTITIONS = 4] = process.argv.slice(2).map(Number)
const DAY_MS = 24 * 60 * 60 * 1000
const DELIVERIES_PER_SECOND = 200
const ROUNDS = 5

const history = historyOf(EVENTS, PARTITIONS)
const { startMs } = history
const server = await startRedis()
const service = await startTestService({
  REDIS_URL: server.url,
  PARTITIONS: String(PARTITIONS),
  EVENT_RETENTION_SECONDS: '31536000'
})
const redis = connectRedis(server.address)
await until('a connection', async () => redis.status === 'ready')
await loadHistory(redis, history)
const log = { redis, keyPrefix: 'cio:', dedupeWindowMs: 8 * DAY_MS, consumers: [] }
const memory = /used_memory_human:(\S+)/.exec(await server.client.info('memory'))?.[1]
print(`${EVENTS} events in ${PARTITIONS} partitions, ${memory}, Node ${process.version}`)

await measure('a page of 50, newest first', { count: 50 }, 50)
await measure('a page of 50 in the middle', { count: 50, toMs: startMs + (EVENTS / 2) * 1000 }, 50)
await measure('a page of 50 of one in five', { count: 50, types: ['email.clicked'] }, 50)
await measure('a customer, all events', { count: 1000, customers: ['777'] }, 3)
await measure('an address, all events', { count: 1000, hashes: [hash('sha256', 'customer-777')] }, 3)
await measure('an id of Customer.io', { count: 10, ids: [idOf(history, 2 * Math.floor(EVENTS / 6))] }, 20)
await measure('an unknown id of Customer.io', { count: 10, ids: [idOf(history, -2)] }, 20)
const others = [0.1, 0.5, 0.9].map(share => idOf(history, 2 * Math.floor((EVENTS * share) / 2) + 1))
for (const [index, id] of others.entries()) {
  await measure(
    `another id, of the ${['oldest', 'middle', 'newest'][index]} events`,
    { count: 10, ids: [id] },
    3
  )
}
await measure('another id, unknown', { count: 10, ids: ['unknown'] }, 20)
const startedMs = performance.now()
await eventPath(log, idOf(history, 2 * Math.floor(EVENTS / 6)))
print(`events show: ${Math.round(performance.now() - startedMs)} ms`)

const p50s: number[][] = [[], []]
const p99s: number[][] = [[], []]
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, isSearching] of [false, true].entries()) {
    const stop = new AbortController()
    const searching = isSearching ? search(stop.signal) : undefined
    const times = await deliveries()
    p50s[index]?.push(Number(quantile(times, 0.5)))
    p99s[index]?.push(Number(quantile(times, 0.99)))
    stop.abort()
    await searching
  }
}
for (const [index, name] of ['without', 'during'].entries()) {
  const [p50 = [], p99 = []] = [p50s[index], p99s[index]]
  print(
    `deliveries ${name} a search: p50 ${quantile(p50, 0.5)} ms, p99 ${quantile(p99, 0.5)} ms (medians; p99 of the rounds: ${p99.join(', ')})`
  )
}
redis.disconnect()
await service.close()
await server.stop()

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function measure(name: string, query: EventQuery, runs: number): Promise<void> {
  const times: number[] = []
  let found = 0
  let searched = 0
  const cpuBeforeMs = await redisCpuMs()
  for (let run = 0; run < runs; run++) {
    const started = performance.now()
    const result = await searchEvents(log, query)
    times.push(performance.now() - started)
    found = result.entries.length
    searched = result.searched
  }
  const cpuMs = (await redisCpuMs()) - cpuBeforeMs
  print(
    `${name}: Redis ${(cpuMs / runs).toFixed(1)} ms of processor time, p50 ${quantile(times, 0.5)} ms, p95 ${quantile(times, 0.95)} ms; ${found} of ${searched} read`
  )
}

async function redisCpuMs(): Promise<number> {
  const seconds = [...(await redis.info('cpu')).matchAll(/used_cpu_(?:user|sys):(\S+)/g)]
  return seconds.reduce((sum, [, value]) => sum + Number(value) * 1000, 0)
}

async function search(signal: AbortSignal): Promise<void> {
  const hashes = [hash('sha256', 'nobody')]
  while (!signal.aborted) await searchEvents(log, { count: 10, hashes }, { signal })
}

/** @returns how long each took, in milliseconds */
async function deliveries(): Promise<readonly number[]> {
  const times: number[] = []
  const pending: Promise<void>[] = []
  for (let index = 0; index < 10 * DELIVERIES_PER_SECOND; index++) {
    const started = performance.now()
    const body = JSON.stringify({
      event_id: randomBytes(12).toString('hex'),
      object_type: 'email',
      metric: 'opened',
      timestamp: 1,
      data: { customer_id: String(index) }
    })
    pending.push(
      service.post(body).then(({ status }) => {
        if (status !== 200) throw new Error(`status ${status}`)
        times.push(performance.now() - started)
      })
    )
    await new Promise(resolve => setTimeout(resolve, 1000 / DELIVERIES_PER_SECOND))
  }
  await Promise.all(pending)
  return times
}

function quantile(times: readonly number[], share: number): string {
  const sorted = [...times].sort((a, b) => a - b)
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1)
}
