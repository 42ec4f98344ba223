// npm run bench:memory: memory per remembered event id, throughput with many of them, and memory of the process over
// many deliveries. See README.md in this folder.
import { parseArgs } from 'node:util'
import { startRedis, type TestRedis } from '../test/helpers/redis.ts'
import { contestants } from './contestants.ts'
import { rememberIds } from './fill.ts'
import { describeMachine, describeVersions, machineLine } from './machine.ts'
import { spreadOf, writeResults } from './results.ts'
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
/** How often the memory of the process is measured. */
const STEPS = 10

const service = contestants.find(({ name }) => name === 'service')
if (service === undefined) throw new Error('unknown contestant: service')

const date = new Date().toISOString()
say(machineLine())
const bytesAnEvent = await bytesARememberedEvent(sizes.checkpoints)
const remembering = await throughputWithManyRemembered()
const memory = await memoryOverManyDeliveries()

const facts = { date, machine: describeMachine(), versions: describeVersions(), sizes }
say(`\n${writeResults({ ...facts, bytesAnEvent, remembering, memory }, 'memory')}`)

/** Compares `used_memory` of Redis before and after, with empty streams. */
async function bytesARememberedEvent(checkpoints: readonly number[]) {
  say('Bytes per remembered event in Redis (target: at most 25 at a million)')
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

/** Two services, one with an empty Redis, are measured in turns, so that the machine's load is the same for both. */
async function throughputWithManyRemembered() {
  const { remembered, rounds, seconds } = sizes
  say(`\nThroughput with ${remembered.toLocaleString('en')} remembered ids ÷ with none (target: ≥ 0.95)`)
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
    for (const one of running) await one.verify()
  } finally {
    for (const one of running) await one.stop()
  }
  const throughput = measured.map(list => spreadOf(list, ({ report }) => report.throughput).median)
  const redisCpuUs = measured.map(list => spreadOf(list, one => one.redisCpuUs).median)
  const ratio = (throughput[1] ?? 0) / (throughput[0] ?? 1)
  say(`  deliveries/s, without and with: ${throughput.map(Math.round).join(', ')}: ${ratio.toFixed(2)}`)
  say(`  CPU µs of Redis per delivery: ${redisCpuUs.map(us => us.toFixed(1)).join(', ')}`)
  return { remembered, throughput, redisCpuUs, ratio, measured }
}

async function memoryOverManyDeliveries() {
  const { deliveries } = sizes
  say(
    `\nMemory of the process over ${deliveries.toLocaleString('en')} deliveries (target: at the end ≤ 1.1 × after the first tenth)`
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
  if (service === undefined) throw new Error('unknown contestant: service')
  return startRunning(service, prepare)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
