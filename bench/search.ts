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
 * Searches in a log of a million events, and what deliveries notice of it. Arguments: number of events, partitions.
 */
const [EVENTS = 1_000_000, PARTITIONS = 4] = process.argv.slice(2).map(Number)
const DAY_MS = 24 * 60 * 60 * 1000
const DELIVERIES_PER_SECOND = 200

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
await measure('an id of Customer.io', { count: 10, ids: [idOf(history, EVENTS / 3)] }, 20)
await measure('an unknown id of Customer.io', { count: 10, ids: [idOf(history, -1)] }, 3)
await measure('another id, all events', { count: 10, ids: ['unknown'] }, 3)
const startedMs = performance.now()
await eventPath(log, idOf(history, EVENTS / 3))
print(`events show: ${Math.round(performance.now() - startedMs)} ms`)

await deliveries('deliveries without a search')
const stop = new AbortController()
const searching = (async () => {
  while (!stop.signal.aborted)
    await searchEvents(log, { count: 10, ids: ['unknown'] }, { signal: stop.signal })
})()
await deliveries('deliveries during a search')
stop.abort()
await searching
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
  for (let run = 0; run < runs; run++) {
    const started = performance.now()
    const result = await searchEvents(log, query)
    times.push(performance.now() - started)
    found = result.entries.length
    searched = result.searched
  }
  print(
    `${name}: p50 ${quantile(times, 0.5)} ms, p95 ${quantile(times, 0.95)} ms; ${found} of ${searched} read`
  )
}

async function deliveries(name: string): Promise<void> {
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
  print(
    `${name}: p50 ${quantile(times, 0.5)} ms, p99 ${quantile(times, 0.99)} ms, max ${quantile(times, 1)} ms`
  )
}

function quantile(times: readonly number[], share: number): string {
  const sorted = [...times].sort((a, b) => a - b)
  return (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(1)
}
