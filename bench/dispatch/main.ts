// npm run bench:dispatch: throughput and latency of each kind of consumer.
import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { consumersFile, httpConsumer, natsConsumer } from '../../test/helpers/consumers-file.ts'
import { startNats } from '../../test/helpers/nats.ts'
import { type ServiceProcess, startServiceProcess } from '../../test/helpers/process.ts'
import { startRabbit } from '../../test/helpers/rabbitmq.ts'
import { startRedis } from '../../test/helpers/redis.ts'
import { until } from '../../test/helpers/server.ts'
import { machineLine } from '../machine.ts'
import { usageOf } from '../process-usage.ts'
import { append, appendAtRate, isDone, queued } from './log.ts'
import type { Seen, Way } from './receiver.ts'

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '50000' },
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
    /** Measures only the cost of the log of attempts: off against on, alternating, so many rounds. */
    attempts: { type: 'string' }
  }
})
const [EVENTS, RATE, SECONDS] = [Number(values.events), Number(values.rate), Number(values.seconds)]
const WARM_UP_SECONDS = 5
/** The hung consumer's lag when the other one starts: ten minutes at a hundred events per second. */
const BEHIND = 60_000
const HUNG_BACKLOG = 1000
const PATIENCE_MS = 300_000
const RECEIVER = fileURLToPath(new URL('receiver.js', import.meta.url))

const redis = await startRedis({ appendonly: 'yes' })
const nats = await startNats()
const rabbit = await startRabbit()
try {
  if (values.attempts === undefined) await measureAll()
  else await measureAttempts(Number(values.attempts))
} finally {
  await rabbit.stop()
  await nats.stop()
  await redis.stop()
}

async function measureAll(): Promise<void> {
  process.stdout.write(`${machineLine()}\n`)
  print('consumer', 'events/s', 'per CPU second', 'RSS MB', `${RATE}/s: p50 ms`, 'p99', 'max')
  await measureLibrary()
  await measurePush('http', '', url => [httpConsumer('way', url, { concurrency: 50 })])
  await measurePush('nats', nats.url, () => [natsConsumer('way', nats.url)])
  await measurePush('amqp', rabbit.url, () => [
    { name: 'way', type: 'amqp', url: rabbit.url, exchange: 'cio' }
  ])
  await measureBesideHung()
}

/** Throughput of each kind of push consumer without and with the log of attempts. */
async function measureAttempts(rounds: number): Promise<void> {
  print('consumer', 'attempts', 'events/s', 'per CPU second')
  const ways: readonly (readonly [Way, string, (url: string) => readonly Record<string, unknown>[]])[] = [
    ['http', '', url => [httpConsumer('way', url, { concurrency: 50 })]],
    ['nats', nats.url, () => [natsConsumer('way', nats.url)]],
    ['amqp', rabbit.url, () => [{ name: 'way', type: 'amqp', url: rabbit.url, exchange: 'cio' }]]
  ]
  for (const [way, address, consumers] of ways) {
    const receiver = await startReceiver(way, address)
    for (let round = 0; round < rounds; round++) {
      // The first of a pair may have an advantage: they take turns.
      for (const length of round % 2 === 0 ? ['0', '10000'] : ['10000', '0']) {
        await redis.client.flushall()
        await append(redis, EVENTS)
        const service = await dispatch(consumers(receiver.url), { ATTEMPT_LOG_LENGTH: length })
        const startedMs = performance.now()
        await until('all', () => isDone(redis, 'way'), PATIENCE_MS)
        const seconds = (performance.now() - startedMs) / 1000
        const { cpuSeconds } = usageOf(service.process.pid ?? 0)
        print(way, length, EVENTS / seconds, EVENTS / cpuSeconds)
        await end(service)
      }
    }
    receiver.process.disconnect()
  }
}

/** The receiving end of a consumer, in a process of its own. */
interface Receiver {
  readonly process: ChildProcess
  readonly url: string
  /** The events received since the last call. */
  seen(): Promise<Seen>
}

async function startReceiver(way: Way, address: string): Promise<Receiver> {
  const child = spawn(process.execPath, [RECEIVER, way, address], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  const message = (): Promise<unknown> => new Promise(resolve => child.once('message', resolve))
  const url = String(await message())
  return {
    process: child,
    url,
    seen: () => {
      const answer = message()
      child.send('seen')
      return answer as Promise<Seen>
    }
  }
}

/** The library: no service in between, the consumer's own process does the work. */
async function measureLibrary(): Promise<void> {
  await redis.client.flushall()
  await append(redis, EVENTS)
  const receiver = await startReceiver('library', redis.url)
  const startedMs = performance.now()
  await until('all', () => isDone(redis, 'way'), PATIENCE_MS)
  const seconds = (performance.now() - startedMs) / 1000
  const { cpuSeconds, rssMb } = await receiver.seen()
  print('library', EVENTS / seconds, EVENTS / cpuSeconds, rssMb, ...(await latencies(receiver)))
  receiver.process.disconnect()
}

async function measurePush(
  way: Way,
  address: string,
  consumers: (url: string) => readonly Record<string, unknown>[]
): Promise<void> {
  await redis.client.flushall()
  await append(redis, EVENTS)
  const receiver = await startReceiver(way, address)
  const service = await dispatch(consumers(receiver.url))
  const startedMs = performance.now()
  await until('all', () => isDone(redis, 'way'), PATIENCE_MS)
  const seconds = (performance.now() - startedMs) / 1000
  const { cpuSeconds, rssBytes } = usageOf(service.process.pid ?? 0)
  print(way, EVENTS / seconds, EVENTS / cpuSeconds, rssBytes / 1e6, ...(await latencies(receiver)))
  await end(service)
  receiver.process.disconnect()
}

/** A consumer that keeps up, while another one is far behind and never answers. */
async function measureBesideHung(): Promise<void> {
  await redis.client.flushall()
  await append(redis, BEHIND)
  const [receiver, hung] = [await startReceiver('http', ''), await startReceiver('hung', '')]
  const service = await dispatch([
    httpConsumer('way', receiver.url, { concurrency: 50, from: 'now' }),
    httpConsumer('hung', hung.url, { from: 'start', backlog: HUNG_BACKLOG })
  ])
  await until(
    'both consumers working',
    async () => (await queued(redis, 'hung')) >= HUNG_BACKLOG,
    PATIENCE_MS
  )
  print('http, another one hangs', '', '', '', ...(await latencies(receiver)))
  await end(service)
  receiver.process.disconnect()
  hung.process.disconnect()
}

function dispatch(
  consumers: readonly Record<string, unknown>[],
  env: Record<string, string> = {}
): Promise<ServiceProcess> {
  return startServiceProcess({
    ...env,
    REDIS_URL: redis.url,
    LOG_LEVEL: 'warn',
    CONSUMERS_FILE: consumersFile(...consumers)
  })
}

async function end(service: ServiceProcess): Promise<void> {
  service.process.kill('SIGTERM')
  await service.ended
}

/** Milliseconds from the log to the receiver at a constant rate: p50, p99 and maximum. */
async function latencies(receiver: Receiver): Promise<number[]> {
  await appendAtRate(redis, RATE, WARM_UP_SECONDS)
  await until('all', () => isDone(redis, 'way'), PATIENCE_MS)
  await receiver.seen()
  await appendAtRate(redis, RATE, SECONDS)
  await until('all', () => isDone(redis, 'way'), PATIENCE_MS)
  const ages = [...(await receiver.seen()).ages].sort((a, b) => a - b)
  if (ages.length < RATE * SECONDS) throw new Error(`${ages.length} of ${RATE * SECONDS} events arrived`)
  return [0.5, 0.99, 1].map(share => ages[Math.min(ages.length - 1, Math.floor(ages.length * share))] ?? 0)
}

function print(...cells: (string | number)[]): void {
  const [first = '', ...rest] = cells.map(cell => String(typeof cell === 'number' ? Math.round(cell) : cell))
  process.stdout.write(`${first.padEnd(28)}${rest.map(cell => cell.padStart(17)).join('')}\n`)
}
