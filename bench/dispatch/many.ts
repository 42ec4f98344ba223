import { httpConsumer } from '../../test/helpers/consumers-file.ts'
import type { ServiceProcess } from '../../test/helpers/process.ts'
import type { TestRedis } from '../../test/helpers/redis.ts'
import { freePort, until } from '../../test/helpers/server.ts'
import { median } from '../median.ts'
import { usageOf } from '../process-usage.ts'
import type { Spread } from '../results.ts'
import { printTable, show } from '../table.ts'
import { targetOutcome } from '../targets.ts'
import type { Servers } from './kinds.ts'
import { append, appendAtRate, groupsOf, STREAM, untilDone } from './log.ts'
import type { Arrivals } from './many-receiver.ts'
import { type Child, startChild, withDispatcher } from './processes.ts'
import type { Measured, PartResult } from './results.ts'

export interface ManySizes {
  /** Events while one consumer is down, at a constant rate: volume stands for the hour. */
  readonly events: number
  /** Events per second; each goes to every consumer. */
  readonly rate: number
}

const CONSUMERS = 50
const DOWN = 'consumer-0'
const names = Array.from({ length: CONSUMERS }, (_, index) => `consumer-${index}`)
const others = names.filter(name => name !== DOWN)
/** Events before the outage, as a share of those during it. */
const BEFORE = 0.2
const SAMPLE_INTERVAL_MS = 250
const RETENTION_SECONDS = 2
const TRIM_TIMEOUT_MS = 30_000
const TIMEOUT_MS = 300_000

/** 0 of both is right. */
interface Shortfall {
  /** Events that did not arrive: during the outage at the others, afterwards at any consumer. */
  readonly missing: number
  /** Entries that the log keeps although every consumer has them. */
  readonly untrimmed: number
}

export interface Outcome {
  /** Resident memory of the service in MB, in the first and in the last third of the outage. */
  readonly rssMb: readonly [first: number, last: number]
  readonly duringOutage: Shortfall
  readonly afterOutage: Shortfall
  readonly repeats: number
}

/** Fifty HTTP consumers; one of them is down for most of the events, then comes back. */
export async function measureMany(
  { redis }: Servers,
  sizes: ManySizes
): Promise<PartResult<Measured['many']>> {
  process.stderr.write(`many: ${CONSUMERS} consumers, one of them down\n`)
  const measured = await runMany(redis, sizes)
  const { rssMb, duringOutage, afterOutage, repeats } = measured
  const [first, last] = rssMb
  const text = `${sizes.events} events at ${sizes.rate}/s while one of ${CONSUMERS} HTTP consumers is down`
  process.stdout.write(`\n${text}; ${repeats} requests came again\n`)
  printTable(['first third', 'last third'], [['RSS MB', [show(single(first)), show(single(last))]]])
  const none = (text: string, count: number) => targetOutcome(text, single(count), { most: 0 })
  const targets = [
    targetOutcome('RSS, last third ÷ first third of the outage', single(last / first), { most: 1.1 }),
    none('events missing at the 49 others during the outage', duringOutage.missing),
    none('events missing at any consumer afterwards', afterOutage.missing),
    none('events kept that all 50 have, during the outage', duringOutage.untrimmed),
    none('events kept that all 50 have, afterwards', afterOutage.untrimmed)
  ]
  return { measured, targets }
}

async function runMany(redis: TestRedis, sizes: ManySizes): Promise<Outcome> {
  await redis.client.flushall()
  const [port, downPort] = [await freePort(), await freePort()]
  const before = Math.round(sizes.events * BEFORE)
  const total = before + sizes.events
  const receiver = await startChild<Arrivals>('many-receiver', ...[port, downPort, total].map(String))
  await receiver.ask('up')
  const consumers = names.map(name =>
    httpConsumer(name, `http://127.0.0.1:${name === DOWN ? downPort : port}/${name}`, QUICK_RETRIES)
  )
  const env = { EVENT_RETENTION_SECONDS: String(RETENTION_SECONDS) }
  try {
    return await withDispatcher(redis, consumers, env, async service => {
      // Without their groups, the retention would trim the first events.
      await until('all groups', async () => (await groupsOf(redis)).size === CONSUMERS)
      await append(redis, before)
      await untilDone(redis, TIMEOUT_MS, names)
      await receiver.ask('down')
      const samples = await sampled(service, () =>
        appendAtRate(redis, sizes.rate, sizes.events / sizes.rate, before)
      )
      await untilDone(redis, TIMEOUT_MS, others)
      const duringOutage = {
        missing: await missing(receiver, others, total),
        untrimmed: await untrimmed(redis, sizes.events)
      }
      await receiver.ask('up')
      await untilDone(redis, TIMEOUT_MS, names)
      const afterOutage = {
        missing: await missing(receiver, names, total),
        untrimmed: await untrimmed(redis, 0)
      }
      const { repeats } = await receiver.ask('seen')
      const third = Math.floor(samples.length / 3)
      const rssMb = [median(samples.slice(0, third)), median(samples.slice(-third))] as const
      return { rssMb, duringOutage, afterOutage, repeats }
    })
  } finally {
    receiver.end()
  }
}

/** The resident memory of the service in MB, four times per second while `run` runs. */
async function sampled(
  { process: { pid = 0 } }: ServiceProcess,
  run: () => Promise<void>
): Promise<number[]> {
  const samples: number[] = []
  const timer = setInterval(() => samples.push(usageOf(pid).rssBytes / 1e6), SAMPLE_INTERVAL_MS)
  await run()
  clearInterval(timer)
  return samples
}

/** So that the consumer notices within seconds that its endpoint is back. */
const QUICK_RETRIES = { retryDelayMs: 1000, maxRetryDelayMs: 2000, maxAttempts: 100 }

async function missing(
  receiver: Child<Arrivals>,
  consumers: readonly string[],
  expected: number
): Promise<number> {
  const { events } = await receiver.ask('seen')
  return consumers.reduce((sum, name) => sum + expected - (events[name] ?? 0), 0)
}

/** Entries of the log beyond those that must be kept, after the retention is over. */
async function untrimmed(redis: TestRedis, mustKeep: number): Promise<number> {
  const excess = async () => Math.max(0, (await redis.client.xlen(STREAM)) - mustKeep)
  await until('the log is trimmed', async () => (await excess()) === 0, TRIM_TIMEOUT_MS).catch(() => {})
  return excess()
}

const single = (value: number): Spread => ({ median: value, low: value, high: value })
