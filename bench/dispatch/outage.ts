import { httpConsumer } from '../../test/helpers/consumers-file.ts'
import type { TestRedis } from '../../test/helpers/redis.ts'
import { freePort, until } from '../../test/helpers/server.ts'
import { ratioOf } from '../results.ts'
import { printTable } from '../table.ts'
import { targetOutcome } from '../targets.ts'
import { CONCURRENCY, type Servers } from './kinds.ts'
import { cellsOf, type Latencies, latenciesOf, latencyColumns, type RateSizes } from './latency.ts'
import { append, CONSUMER } from './log.ts'
import { startChild, withDispatcher } from './processes.ts'
import type { Seen } from './receiver.ts'
import type { Measured, PartResult } from './results.ts'

/** The consumer beside the one that is measured. */
export type Other = 'none' | 'hung' | 'dead'

const titles: Readonly<Record<Other, string>> = {
  none: 'HTTP push alone',
  hung: 'beside one that never answers',
  dead: 'beside one that refuses connections'
}
const OTHER = 'other'
/** How far the other consumer is behind: ten minutes at a hundred events per second. */
const BEHIND_EVENTS = 60_000
const OTHER_TIMEOUT_MS = 5000
const FIRST_FAILURE_TIMEOUT_MS = 60_000

/** What a consumer that hangs or is down does to another one, in turn with the other one alone. */
export async function measureOutage(
  { redis }: Servers,
  sizes: RateSizes
): Promise<PartResult<Measured['outage']>> {
  const measured: Record<Other, Latencies[]> = { none: [], hung: [], dead: [] }
  for (let round = 0; round < sizes.rounds; round++) {
    for (const other of ['none', 'hung', 'dead'] as const) {
      process.stderr.write(`outage: ${titles[other]}\n`)
      measured[other].push(await beside(other, redis, sizes))
    }
  }
  process.stdout.write(`\nAt ${sizes.rate} events/s: milliseconds from the log to the receiver\n`)
  printTable(
    latencyColumns,
    (['none', 'hung', 'dead'] as const).map(other => [titles[other], cellsOf(measured[other])])
  )
  const targets = (['hung', 'dead'] as const).flatMap(other => {
    const ratio = ratioOf(measured[other], measured.none, ({ p99 }) => p99)
    return ratio === undefined ? [] : [targetOutcome(`p99, ${titles[other]} ÷ alone`, ratio, { most: 1.1 })]
  })
  return { measured, targets }
}

async function beside(other: Other, redis: TestRedis, sizes: RateSizes): Promise<Latencies> {
  await redis.client.flushall()
  await append(redis, BEHIND_EVENTS)
  const receiver = await startChild<Seen>('receiver', 'http', '')
  const hung = other === 'hung' ? await startChild<Seen>('receiver', 'hung', '') : undefined
  const url = hung?.greeting ?? `http://127.0.0.1:${await freePort()}/events`
  const consumers = [
    httpConsumer(CONSUMER, receiver.greeting, { concurrency: CONCURRENCY, from: 'now' }),
    ...(other === 'none' ? [] : [httpConsumer(OTHER, url, { timeoutMs: OTHER_TIMEOUT_MS })])
  ]
  try {
    return await withDispatcher(redis, consumers, {}, async ({ process: { pid = 0 } }) => {
      if (other !== 'none') await untilFailing(redis)
      return latenciesOf({ pid, seen: count => receiver.ask(`seen ${count}`) }, redis, sizes)
    })
  } finally {
    receiver.end()
    hung?.end()
  }
}

async function untilFailing(redis: TestRedis): Promise<void> {
  await until(
    'the other consumer fails',
    async () => Number(await redis.client.hget(`cio:consumer:${OTHER}`, 'failures')) > 0,
    FIRST_FAILURE_TIMEOUT_MS
  )
}
