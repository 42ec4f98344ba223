// npm run bench:memory: what a remembered event costs, whether many of them slow the service down, and whether
// its memory stays flat. See README.md in this folder.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startRedis, type TestRedis } from '../test/helpers/redis.ts'
import { contestants } from './contestants.ts'
import { rememberIds } from './fill.ts'
import { describeMachine, describeVersions } from './machine.ts'
import { spreadOf } from './results.ts'
import { type Measurement, type Running, startRunning } from './running.ts'

const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const sizes = values.quick
  ? { checkpoints: [20_000, 100_000], remembered: 500_000, rounds: 2, seconds: 3, deliveries: 100_000 }
  : {
      checkpoints: [100_000, 300_000, 1_000_000, 2_000_000],
      remembered: 5_000_000,
      rounds: 5,
      seconds: 6,
      deliveries: 1_000_000
    }
const CONNECTIONS = 64
const WARM_UP = { connections: CONNECTIONS, count: 15_000 }
/** Deliveries after which the memory of the process is first looked at: a tenth of all. */
const STEPS = 10

const service = contestants.find(({ name }) => name === 'service')
if (service === undefined) throw new Error('no contestant is called service')

const date = new Date().toISOString()
const bytesAnEvent = await bytesARememberedEvent(sizes.checkpoints)
const remembering = await throughputWithManyRemembered()
const memory = await memoryOverManyDeliveries()

const folder = join('bench', 'results')
const file = join(folder, `${date.slice(0, 16).replace(/[:T]/g, '-')}-memory.json`)
mkdirSync(folder, { recursive: true })
const facts = { date, machine: describeMachine(), versions: describeVersions(), sizes }
writeFileSync(file, `${JSON.stringify({ ...facts, bytesAnEvent, remembering, memory }, null, 1)}\n`)
say(`\n${file} holds all of it.`)

/** Redis' own count of its memory, before and after, with the streams emptied. */
async function bytesARememberedEvent(checkpoints: readonly number[]) {
  say('Bytes a remembered event in Redis (target: at most 25 at a million)')
  const redis = await startRedis()
  try {
    const empty = await usedMemory(redis)
    const measured: { events: number; bytes: number }[] = []
    let filled = 0
    for (const events of checkpoints) {
      await rememberIds(redis.address, filled, events - filled)
      filled = events
      const bytes = ((await usedMemory(redis)) - empty) / events
      measured.push({ events, bytes })
      say(`  ${events.toLocaleString('en')}: ${bytes.toFixed(1)}`)
    }
    return measured
  } finally {
    await redis.stop('SIGKILL')
  }
}

async function usedMemory({ client }: TestRedis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1])
}

/** Two services at once, one over an empty Redis, and each its slice in turn: the machine is the same for both. */
async function throughputWithManyRemembered() {
  const { remembered, rounds, seconds } = sizes
  say(`\nWith ${remembered.toLocaleString('en')} remembered ids, against an empty Redis (target: ≥ 0.95)`)
  const running: Running[] = []
  const measured: [Measurement[], Measurement[]] = [[], []]
  try {
    running.push(await startService())
    running.push(await startService(redis => rememberIds(redis.address, 0, remembered)))
    for (const one of running) await one.measure(WARM_UP)
    for (let round = 0; round < rounds; round++) {
      for (const [index, one] of running.entries()) {
        measured[index]?.push(await one.measure({ connections: CONNECTIONS, seconds }))
      }
    }
    for (const one of running) await one.judge()
  } finally {
    for (const one of running) await one.stop()
  }
  const throughput = measured.map(list => spreadOf(list, ({ report }) => report.throughput).median)
  const redisCpuUs = measured.map(list => spreadOf(list, one => one.redisCpuUs).median)
  const ratio = (throughput[1] ?? 0) / (throughput[0] ?? 1)
  say(`  deliveries/s, empty and full: ${throughput.map(Math.round).join(', ')}: ${ratio.toFixed(2)}`)
  say(`  CPU µs of Redis a delivery: ${redisCpuUs.map(us => us.toFixed(1)).join(', ')}`)
  return { remembered, throughput, redisCpuUs, ratio, measured }
}

async function memoryOverManyDeliveries() {
  const { deliveries } = sizes
  say(
    `\nMemory of the process over ${deliveries.toLocaleString('en')} deliveries (target: ≤ 1.1 of the first tenth)`
  )
  const running = await startService()
  const rssMb: number[] = []
  try {
    for (let step = 0; step < STEPS; step++) {
      const { serviceRssMb } = await running.measure({
        connections: CONNECTIONS,
        count: deliveries / STEPS
      })
      rssMb.push(serviceRssMb)
      await running.redis.client.unlink('cio:events:{0}')
    }
  } finally {
    await running.stop()
  }
  const ratio = (rssMb.at(-1) ?? 0) / (rssMb[0] ?? 1)
  say(`  MB after each tenth: ${rssMb.map(Math.round).join(', ')}: ${ratio.toFixed(2)}`)
  return { deliveries, rssMb, ratio }
}

async function startService(prepare?: (redis: TestRedis) => Promise<void>): Promise<Running> {
  if (service === undefined) throw new Error('no contestant is called service')
  return startRunning(service, prepare)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
