import type { TestRedis } from '../../test/helpers/redis.ts'
import { usageOf } from '../process-usage.ts'
import { ratioOf, spreadOf } from '../results.ts'
import { printTable, show } from '../table.ts'
import { type TargetOutcome, targetOutcome } from '../targets.ts'
import { CONCURRENCY, type Kind, type Servers } from './kinds.ts'
import { append, untilDone } from './log.ts'
import { startChild } from './processes.ts'
import type { Seen } from './receiver.ts'
import type { ByWay, Measured, PartResult } from './results.ts'
import { type RunningConsumer, withConsumer } from './running-consumer.ts'

/** Events out of the log as fast as possible. */
export interface Throughput {
  readonly perSecond: number
  /** Events per second of CPU time of the process that does the work. */
  readonly perCpuSecond: number
  readonly redisCpuUs: number
  readonly rssMb: number
}

interface Sizes {
  readonly events: number
  readonly rounds: number
}

const TIMEOUT_MS = 300_000

/** The bare loop and each kind of consumer in turn, in each round. */
export async function measureThroughput(
  { redis, kinds }: Servers,
  sizes: Sizes
): Promise<PartResult<Measured['throughput']>> {
  const bare: Throughput[] = []
  const ofKinds = new Map<Kind, Throughput[]>(kinds.map(kind => [kind, []]))
  for (let round = 0; round < sizes.rounds; round++) {
    bare.push(await bareLoop(redis, sizes.events))
    for (const [kind, list] of ofKinds) list.push(await throughputOf(kind, redis, sizes.events))
  }
  const measured: ByWay<Throughput> = {
    'bare loop, HTTP': bare,
    ...Object.fromEntries([...ofKinds].map(([{ title }, list]) => [title, list]))
  }
  process.stdout.write(`\n${sizes.events} events as fast as possible\n`)
  printTable(
    ['events/s', 'per CPU second', 'CPU µs', 'of Redis', 'RSS MB'],
    Object.entries(measured).map(([title, list]) => [title, cellsOf(list)])
  )
  const http = [...ofKinds].find(([{ name }]) => name === 'http')?.[1]
  const ratio = ratioOf(http, bare, ({ perCpuSecond }) => perCpuSecond)
  const targets = [
    ...(ratio === undefined
      ? []
      : [targetOutcome('events per CPU second, HTTP push ÷ bare loop', ratio, { least: 0.5 })]),
    targetOutcome(
      'events per second, HTTP push',
      spreadOf(http, ({ perSecond }) => perSecond),
      { least: 12_000 }
    )
  ]
  return { measured, targets }
}

/** What the log of attempts costs each kind: without and with it, in turn. */
export async function measureAttempts(
  { redis, kinds }: Servers,
  sizes: Sizes
): Promise<PartResult<Measured['attempts']>> {
  const measured: Record<string, ByWay<Throughput>> = {}
  const targets: TargetOutcome[] = []
  for (const kind of kinds.filter(({ name }) => name !== 'library')) {
    const byLength: Record<'0' | '10000', Throughput[]> = { 0: [], 10000: [] }
    for (let round = 0; round < sizes.rounds; round++) {
      // The first of a pair may have an advantage.
      for (const length of round % 2 === 0 ? (['0', '10000'] as const) : (['10000', '0'] as const)) {
        const env = { ATTEMPT_LOG_LENGTH: length }
        byLength[length].push(await throughputOf(kind, redis, sizes.events, env))
      }
    }
    measured[kind.title] = byLength
    const ratio = ratioOf(byLength['10000'], byLength['0'], ({ perCpuSecond }) => perCpuSecond)
    const text = `events per CPU second, ${kind.title}, with ÷ without the log of attempts`
    if (ratio !== undefined) targets.push(targetOutcome(text, ratio, { least: 0.95 }))
  }
  return { measured, targets }
}

function throughputOf(
  kind: Kind,
  redis: TestRedis,
  events: number,
  env: Record<string, string> = {}
): Promise<Throughput> {
  process.stderr.write(`throughput: ${kind.title}\n`)
  return withConsumer(kind, redis, env, async consumer => {
    await consumer.pause()
    await append(redis, events)
    return measure(consumer, redis, events, async () => {
      await consumer.resume()
      await untilDone(redis, TIMEOUT_MS)
    })
  })
}

async function bareLoop(redis: TestRedis, events: number): Promise<Throughput> {
  process.stderr.write('throughput: bare loop\n')
  const receiver = await startChild<Seen>('receiver', 'http', '')
  const loop = await startChild('bare-loop', receiver.greeting, String(events), String(CONCURRENCY))
  const seen = (count: number) => receiver.ask(`seen ${count}`)
  await loop.ask('warm up')
  await seen(events)
  const measured = await measure({ pid: loop.pid, seen }, redis, events, async () => {
    await loop.ask('run')
  })
  loop.end()
  receiver.end()
  return measured
}

async function measure(
  { pid, seen }: Pick<RunningConsumer, 'pid' | 'seen'>,
  redis: TestRedis,
  events: number,
  run: () => Promise<void>
): Promise<Throughput> {
  const redisPid = redis.process.pid ?? 0
  const before = { own: usageOf(pid), redis: usageOf(redisPid) }
  await run()
  const after = { own: usageOf(pid), redis: usageOf(redisPid) }
  const { ages, seconds } = await seen(events)
  if (ages.length < events) throw new Error(`${ages.length} of ${events} events arrived`)
  return {
    perSecond: ages.length / seconds,
    perCpuSecond: events / (after.own.cpuSeconds - before.own.cpuSeconds),
    redisCpuUs: ((after.redis.cpuSeconds - before.redis.cpuSeconds) / events) * 1e6,
    rssMb: after.own.rssBytes / 1e6
  }
}

function cellsOf(list: readonly Throughput[]): string[] {
  const columns: readonly ((measured: Throughput) => number)[] = [
    ({ perSecond }) => perSecond,
    ({ perCpuSecond }) => perCpuSecond,
    ({ perCpuSecond }) => 1e6 / perCpuSecond,
    ({ redisCpuUs }) => redisCpuUs,
    ({ rssMb }) => rssMb
  ]
  return columns.map(column => show(spreadOf(list, column)))
}
