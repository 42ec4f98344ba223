import t, { type Test } from 'tap'
import { runToEnd } from '../helpers/command.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'
import { killedAfter, languages, prepareProgram } from './programs.ts'

const GROUP = 'billing'
const PARTITIONS = 3
const CUSTOMERS = 20
/** Per customer, in each of two halves. More than a program handles before it is killed. */
const EVENTS = 60
/** How many entries a program reads at a time: as many can come again per partition. */
const BATCH = 100
/** Longer than a pending entry must be idle to be taken over. */
const LONG_IDLE_MS = 120_000
/** Longer than a program blocks in a read. */
const STOP_MS = 10_000

const customers = Array.from({ length: CUSTOMERS }, (_, index) => `customer-${index}`)
const idsOf = (customer: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, index) => `${customer}.${from + index}`)

t.jobs = 2
for (const language of languages) {
  t.test(
    `the ${language} program gets every event in order per customer, although it is killed and another consumer died`,
    async t => readThroughKills(t, language)
  )
}

async function readThroughKills(t: Test, language: (typeof languages)[number]): Promise<void> {
  const prepared = await prepareProgram(t, language)
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const service = await startTestService({ REDIS_URL: redis.url, PARTITIONS: String(PARTITIONS) })
  t.teardown(() => service.close())
  await post(service, 0, EVENTS)
  const streams = Array.from({ length: PARTITIONS }, (_, partition) => `cio:events:{${partition}}`)
  const dead = await Promise.all(streams.map(stream => leaveWithDeadConsumer(stream)))
  t.ok(
    dead.every(ids => ids.length > 0),
    'entries of a dead consumer are pending in each partition'
  )

  const environment = { REDIS_URL: redis.url }
  const first = killedAfter(t, prepared.start(environment))
  await until('the first events are handled', async () => handled(first.lines()).length > 0).catch(error => {
    throw new Error(first.lines().join('\n'), { cause: error })
  })
  first.process.kill('SIGKILL')
  await first.ended
  const before = handled(first.lines())
  t.ok(before.length < CUSTOMERS * EVENTS, `it was killed after ${before.length} events`)

  const second = killedAfter(t, prepared.start(environment))
  await post(service, EVENTS, 2 * EVENTS)
  // Sent by `cio-webhook doctor`: to be skipped.
  await redis.client.xadd('cio:events:{0}', '*', 'type', 'io.customer.doctor', 'event', '{"id":"doctor"}')
  const all = (): readonly string[] => [...before, ...handled(second.lines())]
  await until('every event is handled', async () => new Set(all()).size >= 2 * CUSTOMERS * EVENTS)
  await until('every entry is acknowledged', async () => (await pending()) === 0)

  const once = [...new Set(all())]
  for (const customer of customers) {
    t.same(
      once.filter(id => id.startsWith(`${customer}.`)),
      idsOf(customer, 0, 2 * EVENTS),
      `every event of ${customer} in order`
    )
  }
  t.equal(once.length, 2 * CUSTOMERS * EVENTS, 'and nothing else')
  t.same(
    second.lines().filter(line => line.includes('doctor')),
    [],
    'the test event is skipped'
  )
  t.ok(all().length - once.length <= BATCH * PARTITIONS, `${all().length - once.length} events came again`)

  const { stdout } = await runToEnd(['consumers', '--json'], {
    REDIS_URL: redis.url,
    CIO_WEBHOOK_SECRET: KEY
  })
  t.match(JSON.parse(stdout), {
    consumers: [{ name: GROUP, type: 'redis', state: 'ok', lag: 0, pending: 0 }]
  })

  const startedMs = Date.now()
  second.process.kill('SIGTERM')
  await second.ended
  t.ok(Date.now() - startedMs < STOP_MS, 'SIGTERM stops it')
  t.not(second.process.signalCode, 'SIGKILL')

  /** Creates the group, and reads with a consumer that does not acknowledge. */
  async function leaveWithDeadConsumer(stream: string): Promise<readonly string[]> {
    await redis.client.xgroup('CREATE', stream, GROUP, '0')
    const reply = (await redis.client.xreadgroup(
      ...(['GROUP', GROUP, 'dead', 'COUNT', 5, 'STREAMS', stream, '>'] as const)
    )) as [string, [string, string[]][]][]
    const ids = reply.flatMap(([, entries]) => entries.map(([id]) => id))
    await redis.client.xclaim(stream, GROUP, 'dead', 0, ...ids, 'IDLE', LONG_IDLE_MS, 'JUSTID')
    return ids
  }

  async function pending(): Promise<number> {
    const counts = await Promise.all(streams.map(stream => redis.client.xpending(stream, GROUP)))
    return counts.reduce((total: number, [count]) => total + Number(count), 0)
  }
}

/** Delivers the events of all customers, those of one customer in order. */
async function post(service: TestService, from: number, to: number): Promise<void> {
  await Promise.all(
    customers.map(async customer => {
      for (const id of idsOf(customer, from, to)) {
        const answer = await service.post(
          JSON.stringify({
            event_id: id,
            object_type: 'email',
            metric: 'opened',
            timestamp: 1_795_000_000,
            data: { customer_id: customer }
          })
        )
        if (answer.status !== 200) throw new Error(`status ${answer.status}`)
      }
    })
  )
}

/** The ids of events in lines such as `customer-1 customer-1.0 io.customer.email.opened`. */
const handled = (lines: readonly string[]): readonly string[] =>
  lines.flatMap(line => /^customer-\d+ (\S+) io\.customer\.email\.opened$/.exec(line)?.[1] ?? [])
