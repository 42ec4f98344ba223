import { createAttemptLog } from '../src/dispatch/attempt-log.ts'
import { connectRedis, type RedisClient } from '../src/redis/connect.ts'
import { consumersFile, httpConsumer } from '../test/helpers/consumers-file.ts'
import { historyOf, idOf, loadHistory } from '../test/helpers/event-history.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { until } from '../test/helpers/server.ts'
import { startTestService } from '../test/helpers/service.ts'

/**
 * How long the console's pages of events take with a log of a million events, five push consumers with the 10,000 newest
 * attempts of each, and 10,000 dead letters. Arguments: number of events, partitions.
 */
const [EVENTS = 1_000_000, PARTITIONS = 4] = process.argv.slice(2).map(Number)
const CONSUMERS = ['crm', 'warehouse', 'reports', 'ads', 'audit']
const ATTEMPTS = 10_000
const DEAD_LETTERS = 10_000
const RUNS = 100

const history = historyOf(EVENTS, PARTITIONS)
const server = await startRedis()
const redis = connectRedis(server.address)
await until('a connection', async () => redis.status === 'ready')
await loadHistory(redis, history)
await addConsumers(redis)
const service = await startTestService({
  REDIS_URL: server.url,
  PARTITIONS: String(PARTITIONS),
  EVENT_RETENTION_SECONDS: '31536000',
  CONSUMERS_FILE: consumersFile(...CONSUMERS.map(name => httpConsumer(name, 'http://127.0.0.1:9/'))),
  DISPATCH: 'off',
  CONSOLE_PORT: '0'
})
const url = `http://127.0.0.1:${service.consolePort}`
print(`${EVENTS} events in ${PARTITIONS} partitions, Node ${process.version}`)

const first = await (await fetch(`${url}/events`)).text()
const older = /href="(\/events\?before=[^"]+)"/.exec(first)?.[1] ?? ''
const minute = (ms: number): string => new Date(ms).toISOString().slice(0, 16)
const middle = minute(history.startMs + EVENTS * 500)
const yesterday = minute(Date.now() - 24 * 60 * 60 * 1000)
await measure('the newest events', '/events')
await measure('older events', older)
await measure('events of one in five', '/events?type=email.clicked')
await measure('events until the middle of the log', `/events?to=${middle}`)
await measure('a customer of the last day', `/events?customer=777&from=${yesterday}`)
await measure('an id', `/events?id=${idOf(history, 2 * Math.floor(EVENTS / 6))}`)
await measure('one of the newest events', ...(await eventsOf('/events')))
await measure('one event that is older than all attempts', ...(await eventsOf(`/events?to=${middle}`)))
await measure('one event, by its id', `/events/${idOf(history, 2 * Math.floor(EVENTS / 6))}`)
await measure('a customer, the whole log, as far as 2 s go', '/events?customer=777')

redis.disconnect()
await service.close()
await server.stop()

async function eventsOf(path: string): Promise<readonly string[]> {
  const page = await (await fetch(`${url}${path}`)).text()
  return [...page.matchAll(/href="(\/events\/[^"]+)"/g)].map(([, link = '']) => link)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function measure(name: string, ...paths: readonly string[]): Promise<void> {
  const times: number[] = []
  let bytes = 0
  let rows = 0
  for (let run = 0; run < RUNS && times.reduce((sum, ms) => sum + ms, 0) < 10_000; run++) {
    const started = performance.now()
    const response = await fetch(`${url}${paths[run % paths.length]}`)
    const text = await response.text()
    times.push(performance.now() - started)
    if (response.status !== 200) throw new Error(`${name}: status ${response.status}`)
    bytes = text.length
    rows = text.match(/<tr>/g)?.length ?? 0
  }
  const sorted = times.sort((a, b) => a - b)
  const at = (share: number): string =>
    (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(1)
  print(
    `${name}: p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, ${sorted.length} times, ${rows} rows, ${bytes} bytes`
  )
}

/** When an event was appended, and delivered to all. */
function atMs(number: number): number {
  return history.startMs + number * 1000 + 2000
}

async function addConsumers(client: RedisClient): Promise<void> {
  for (const name of CONSUMERS) {
    for (let partition = 0; partition < PARTITIONS; partition++) {
      await client.xgroup('CREATE', `cio:events:{${partition}}`, name, '$')
    }
    // Ten attempts per second, and the log of attempts is written once per second.
    for (let number = EVENTS - ATTEMPTS; number < EVENTS; number += 10) {
      const log = createAttemptLog({ redis: client, keyPrefix: 'cio:', length: ATTEMPTS, onError: rethrow })
      for (let index = number; index < number + 10; index++) {
        const eventIds = [idOf(history, index)]
        const outcome = 'delivered'
        log.record({
          consumer: name,
          eventIds,
          attempt: 1,
          atMs: atMs(index),
          outcome,
          answer: '200',
          durationMs: 12
        })
      }
      await log.close()
    }
    await client.ping()
  }
  const [newest] = await client.xrevrange('cio:events:{0}', '+', '-', 'COUNT', 1)
  const [, type = '', , event = ''] = newest?.[1] ?? []
  for (let number = 0; number < DEAD_LETTERS; number++) {
    const own = event.replace(/"id":"[^"]+"/, `"id":"dead-${number}"`)
    const fields = ['type', type, 'event', own, 'partition', 0, 'id', `${number + 1}-0`, 'reason', 'failed']
    void client.xadd(
      `cio:dead:${CONSUMERS[0]}`,
      `${atMs(EVENTS - DEAD_LETTERS + number)}-*`,
      ...fields,
      'error',
      'Error: status 503',
      'attempts',
      12
    )
  }
  await client.ping()
}

function rethrow(error: unknown): never {
  throw error
}
