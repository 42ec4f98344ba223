import { hash, randomBytes } from 'node:crypto'
import { bucketKeysOf, formatGenerations, memberField } from '../src/log/dedupe-index.ts'
import { partitionKeys } from '../src/log/keys.ts'
import { partitionOf, publishPartitionCount } from '../src/log/partition.ts'
import { digestsOfId } from '../src/receive/event-id.ts'
import { connectRedis, type RedisClient } from '../src/redis/connect.ts'
import { eventPath } from '../src/tools/events/event-path.ts'
import { searchEvents } from '../src/tools/events/search.ts'
import type { EventQuery } from '../src/tools/events/walk-log.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { until } from '../test/helpers/server.ts'
import { startTestService } from '../test/helpers/service.ts'

/**
 * Searches in a log of a million events, and what deliveries notice of it, in alternating rounds. Arguments: number of
 * events, partitions. Every second event has an id that is not of Customer.io.
 *
 * The events have the size and the fields of sanitized events of Customer.io, 20,000 customers, and one second each.
 */
const [EVENTS = 1_000_000, PARTITIONS = 4] = process.argv.slice(2).map(Number)
const CUSTOMERS = 20_000
const BATCH = 2000
const DAY_MS = 24 * 60 * 60 * 1000
const DELIVERIES_PER_SECOND = 200
const ROUNDS = 5
/** As a generation for so many events would have. */
const BUCKETS = 2 ** Math.ceil(Math.log2(EVENTS / PARTITIONS / 48))
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

const startMs = Date.now() - EVENTS * 1000
const server = await startRedis()
const service = await startTestService({
  REDIS_URL: server.url,
  PARTITIONS: String(PARTITIONS),
  EVENT_RETENTION_SECONDS: '31536000'
})
const redis = connectRedis(server.address)
await until('a connection', async () => redis.status === 'ready')
await publishPartitionCount(redis, 'cio:', PARTITIONS)
await load(redis)
const log = { redis, keyPrefix: 'cio:', dedupeWindowMs: 8 * DAY_MS, consumers: [] }
const memory = /used_memory_human:(\S+)/.exec(await server.client.info('memory'))?.[1]
print(`${EVENTS} events in ${PARTITIONS} partitions, ${memory}, Node ${process.version}`)

await measure('a page of 50, newest first', { count: 50 }, 50)
await measure('a page of 50 in the middle', { count: 50, toMs: startMs + (EVENTS / 2) * 1000 }, 50)
await measure('a page of 50 of one in five', { count: 50, types: ['email.clicked'] }, 50)
await measure('a customer, all events', { count: 1000, customers: ['777'] }, 3)
await measure('an address, all events', { count: 1000, hashes: [hash('sha256', 'customer-777')] }, 3)
await measure('an id of Customer.io', { count: 10, ids: [idOf(2 * Math.floor(EVENTS / 6))] }, 20)
await measure('an unknown id of Customer.io', { count: 10, ids: [idOf(-2)] }, 20)
const others = [0.1, 0.5, 0.9].map(share => idOf(2 * Math.floor((EVENTS * share) / 2) + 1))
for (const [index, id] of others.entries()) {
  await measure(
    `another id, of the ${['oldest', 'middle', 'newest'][index]} events`,
    { count: 10, ids: [id] },
    3
  )
}
await measure('another id, unknown', { count: 10, ids: ['unknown'] }, 20)
const startedMs = performance.now()
await eventPath(log, idOf(2 * Math.floor(EVENTS / 6)))
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

/** A ULID of the time of an event; of odd numbers another id. */
function idOf(number: number): string {
  if (number % 2 === 1) return `other-${number}`
  let digits = ''
  for (let left = startMs + Math.floor(number) * 1000; digits.length < 10; left = Math.floor(left / 32)) {
    digits = `${DIGITS[left % 32]}${digits}`
  }
  return `${digits}0000${String(Math.floor(Math.abs(number))).padStart(12, '0')}`
}

/** Writes the events, and the dedupe index as the service would have. */
async function load(client: RedisClient): Promise<void> {
  const generations = [{ number: 1, buckets: BUCKETS, openedAtMs: startMs - DAY_MS }]
  for (let partition = 0; partition < PARTITIONS; partition++) {
    await client.set(partitionKeys('cio:', partition).generations, formatGenerations(generations))
  }
  await client.hset('cio:sources', 'default', startMs - DAY_MS)
  for (let first = 0; first < EVENTS; first += BATCH) {
    const batches = Array.from({ length: PARTITIONS }, (): [string, ...string[]][] => [])
    for (let number = first; number < first + BATCH; number++) {
      const customer = String((number * 7919) % CUSTOMERS)
      const partition = partitionOf(customer, PARTITIONS)
      const [digest = ''] = digestsOfId(idOf(number), 'default').digests
      const [bucket = ''] = bucketKeysOf(partitionKeys('cio:', partition), generations, digest)
      void client.hset(bucket, memberField(digest), '')
      const type = `io.customer.email.${['sent', 'delivered', 'opened', 'clicked', 'converted'][number % 5]}`
      const atMs = startMs + number * 1000 + 2000
      batches[partition]?.push([
        partitionKeys('cio:', partition).events,
        `${atMs}-*`,
        'type',
        type,
        'event',
        eventOf(number, customer, type)
      ])
    }
    await Promise.all(
      batches.map(async entries => {
        for (const [key, ...args] of entries) void client.xadd(key, ...(args as [string, string]))
      })
    )
    await client.ping()
  }
}

function eventOf(number: number, customer: string, type: string): string {
  const email_hash = hash('sha256', `customer-${customer}`)
  const time = new Date(startMs + number * 1000).toISOString()
  return JSON.stringify({
    specversion: '1.0',
    id: idOf(number),
    source: '/customerio/default',
    type,
    subject: customer,
    time,
    receivedtime: time,
    datacontenttype: 'application/json',
    data: {
      data: {
        action_id: 42,
        campaign_id: 9,
        content_id: 1146,
        customer_id: customer,
        delivery_id: hash('sha256', String(number)).slice(0, 40),
        identifiers: { cio_id: `d9c106${customer.padStart(8, '0')}`, email_hash, id: customer },
        parent_action_id: 96,
        recipient_hash: email_hash,
        subject: '[REDACTED]'
      },
      event_id: idOf(number),
      metric: type.split('.')[3],
      object_type: 'email',
      timestamp: Math.floor(startMs / 1000) + number
    }
  })
}
