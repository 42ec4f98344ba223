import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { connect as connectAmqp } from 'amqplib'
import { consumersFile, httpConsumer, natsConsumer } from '../test/helpers/consumers-file.ts'
import { startNats } from '../test/helpers/nats.ts'
import { startServiceProcess } from '../test/helpers/process.ts'
import { startRabbit } from '../test/helpers/rabbitmq.ts'
import { startReceiver } from '../test/helpers/receiver.ts'
import { startRedis, type TestRedis } from '../test/helpers/redis.ts'
import { until } from '../test/helpers/server.ts'

/*
 * How fast events leave the log, each way by itself, and how long one takes from its entry to its arrival.
 * Usage: node build/bench/dispatch.js [events] [rate a second]
 * The receiver of pushes is a process of its own; the brokers are Debian's. Figures are of this machine, with
 * whatever else it does.
 */

const EVENTS = Number(process.argv[2] ?? 10_000)
const RATE = Number(process.argv[3] ?? 1000)

if (process.argv[2] === 'receiver') await receive()
else await measure()

/** Counts what arrives, and how long ago each event entered the log. */
async function receive(): Promise<void> {
  const ages: number[] = []
  const receiver = await startReceiver((request, response) => {
    ages.push(Date.now() - Date.parse(JSON.parse(request.body).receivedtime))
    response.writeHead(204).end()
  })
  process.on('message', () => process.send?.(ages))
  process.send?.(receiver.url)
}

async function measure(): Promise<void> {
  const redis = await startRedis({ appendonly: 'yes' })
  const nats = await startNats()
  const rabbit = await startRabbit()
  const amqp = await connectAmqp(rabbit.url)
  const channel = await amqp.createChannel()
  await channel.assertExchange('cio', 'topic', { durable: true })
  await channel.assertQueue('all', { durable: true })
  await channel.bindQueue('all', 'cio', '#')
  const receiver = spawn(process.execPath, [fileURLToPath(import.meta.url), 'receiver'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc']
  })
  const url = await new Promise<string>(resolve => receiver.once('message', text => resolve(String(text))))
  const askAges = (): Promise<number[]> =>
    new Promise(resolve => {
      receiver.once('message', ages => resolve(ages as number[]))
      receiver.send('ages')
    })

  const ways = {
    http: httpConsumer('way', url, { concurrency: 50 }),
    nats: natsConsumer('way', nats.url),
    amqp: { name: 'way', type: 'amqp', url: rabbit.url, exchange: 'cio' }
  }
  for (const [way, consumer] of Object.entries(ways)) {
    await redis.client.flushall()
    await append(redis, EVENTS)
    const env = { REDIS_URL: redis.url, LOG_LEVEL: 'warn', CONSUMERS_FILE: consumersFile(consumer) }
    const service = await startServiceProcess(env)
    const startedMs = performance.now()
    await until('all', () => isDone(redis), 300_000)
    const seconds = (performance.now() - startedMs) / 1000
    const memory = await fetch(`${service.url}/metrics`).then(answer => answer.text())
    const megabytes = Number(/^process_resident_memory_bytes (\S+)/m.exec(memory)?.[1]) / 1024 / 1024
    const cpuSeconds = Number(/^process_cpu_seconds_total (\S+)/m.exec(memory)?.[1])
    console.log(
      `${way}: ${EVENTS} events in ${seconds.toFixed(1)} s, ${Math.round(EVENTS / seconds)}/s, ${Math.round(EVENTS / cpuSeconds)}/CPU s, ${Math.round(megabytes)} MB`
    )
    if (way === 'http') {
      const before = (await askAges()).length
      await paced(redis, RATE, 10)
      await until('all', () => isDone(redis), 60_000)
      const ages = (await askAges()).slice(before).sort((a, b) => a - b)
      const at = (share: number): number => ages[Math.floor(ages.length * share)] ?? Number.NaN
      console.log(`http at ${RATE}/s: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${ages.at(-1)} ms`)
    }
    service.process.kill('SIGTERM')
    await service.ended
  }
  receiver.kill()
  await amqp.close()
  await rabbit.stop()
  await nats.stop()
  await redis.stop()
}

async function isDone(redis: TestRedis): Promise<boolean> {
  const groups = (await redis.client.xinfo('GROUPS', 'cio:events:{0}')) as unknown[][]
  const fields = new Map(groups[0]?.map((field, index) => [field, groups[0]?.[index + 1]]))
  if (fields.get('lag') !== 0 || fields.get('pending') !== 0) return false
  const [waiting, active, delayed] = await Promise.all([
    redis.client.llen('cio:push:{way}:push:wait'),
    redis.client.llen('cio:push:{way}:push:active'),
    redis.client.zcard('cio:push:{way}:push:delayed')
  ])
  return waiting + active + delayed === 0
}

function entry(index: number): string[] {
  const event = {
    specversion: '1.0',
    id: `e${process.pid}-${Date.now()}-${index}`,
    source: '/customerio/default',
    type: 'io.customer.email.opened',
    subject: `c${index % 1000}`,
    receivedtime: new Date().toISOString(),
    datacontenttype: 'application/json',
    data: { filler: 'x'.repeat(600) }
  }
  return ['type', event.type, 'event', JSON.stringify(event)]
}

async function append(redis: TestRedis, count: number): Promise<void> {
  for (let first = 0; first < count; first += 500) {
    const pipeline = redis.client.pipeline()
    for (let index = first; index < Math.min(count, first + 500); index++) {
      pipeline.xadd('cio:events:{0}', '*', ...entry(index))
    }
    await pipeline.exec()
  }
}

async function paced(redis: TestRedis, rate: number, seconds: number): Promise<void> {
  const startedMs = performance.now()
  for (let sent = 0; sent < rate * seconds; ) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - startedMs) / 1000) * rate))
    if (due > sent) {
      await append(redis, due - sent)
      sent = due
    }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
