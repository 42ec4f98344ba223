import type { TestRedis } from '../../test/helpers/redis.ts'
import { cpuWaitSeconds } from '../process-usage.ts'
import { spreadOf } from '../results.ts'
import { printTable, show } from '../table.ts'
import { targetOutcome } from '../targets.ts'
import type { Servers } from './kinds.ts'
import { appendAtRate, untilDone } from './log.ts'
import type { Measured, PartResult } from './results.ts'
import { type RunningConsumer, withConsumer } from './running-consumer.ts'

/** Milliseconds from the log to the receiver. */
export interface Latencies {
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** The share of the time that the process which delivers was ready to run and waited for a processor. */
  readonly cpuWait: number
}

export interface RateSizes {
  readonly rounds: number
  /** Events per second. */
  readonly rate: number
  readonly seconds: number
}

const WARM_UP_SECONDS = 3
const TIMEOUT_MS = 60_000

/** Each kind of consumer at a constant rate. */
export async function measureLatency(
  { redis, kinds }: Servers,
  sizes: RateSizes
): Promise<PartResult<Measured['latency']>> {
  const measured: Record<string, Latencies[]> = Object.fromEntries(kinds.map(({ title }) => [title, []]))
  for (let round = 0; round < sizes.rounds; round++) {
    for (const kind of kinds) {
      process.stderr.write(`latency: ${kind.title}\n`)
      const latencies = await withConsumer(kind, redis, {}, consumer => latenciesOf(consumer, redis, sizes))
      measured[kind.title]?.push(latencies)
    }
  }
  process.stdout.write(`\nAt ${sizes.rate} events/s: milliseconds from the log to the receiver\n`)
  printTable(
    latencyColumns,
    Object.entries(measured).map(([title, list]) => [title, cellsOf(list)])
  )
  const targets = Object.entries(measured).flatMap(([title, list]) => [
    targetOutcome(
      `p50 in ms, ${title}`,
      spreadOf(list, ({ p50 }) => p50),
      { most: 3 }
    ),
    targetOutcome(
      `p99 in ms, ${title}`,
      spreadOf(list, ({ p99 }) => p99),
      { most: 15 }
    )
  ])
  return { measured, targets }
}

/** @throws if an event did not arrive */
export async function latenciesOf(
  { seen, pid }: Pick<RunningConsumer, 'seen' | 'pid'>,
  redis: TestRedis,
  { rate, seconds }: RateSizes
): Promise<Latencies> {
  await appendAtRate(redis, rate, WARM_UP_SECONDS)
  await untilDone(redis, TIMEOUT_MS)
  await seen(rate * WARM_UP_SECONDS)
  const [startedMs, waitedSeconds] = [performance.now(), cpuWaitSeconds(pid)]
  await appendAtRate(redis, rate, seconds)
  await untilDone(redis, TIMEOUT_MS)
  const cpuWait = (cpuWaitSeconds(pid) - waitedSeconds) / ((performance.now() - startedMs) / 1000)
  const ages = (await seen(rate * seconds)).ages.toSorted((a, b) => a - b)
  if (ages.length < rate * seconds) throw new Error(`${ages.length} of ${rate * seconds} events arrived`)
  const at = (share: number): number => ages[Math.min(ages.length - 1, Math.floor(ages.length * share))] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1), cpuWait }
}

export const latencyColumns = ['p50', 'p99', 'max', 'CPU wait %']

export function cellsOf(list: readonly Latencies[]): string[] {
  const columns: readonly ((latencies: Latencies) => number)[] = [
    ({ p50 }) => p50,
    ({ p99 }) => p99,
    ({ max }) => max,
    ({ cpuWait }) => cpuWait * 100
  ]
  return columns.map(column => show(spreadOf(list, column)))
}
