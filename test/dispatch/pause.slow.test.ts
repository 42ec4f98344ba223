import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { consumerStates } from '../../src/dispatch/consumer-state.ts'
import { consumerStatusReader } from '../../src/dispatch/consumer-status.ts'
import { inspectQueue } from '../../src/dispatch/http/push-queue.ts'
import { consumersFile, httpConsumer, natsConsumer } from '../helpers/consumers-file.ts'
import { appendEvent } from '../helpers/log.ts'
import { startNats } from '../helpers/nats.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { freeze, until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'

/** Within this time every replica obeys. */
const OBEYED_MS = 2000

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
const states = consumerStates(redis.connection, 'cio:', Date.now)
const readStatus = consumerStatusReader({
  redis: redis.connection,
  keyPrefix: 'cio:',
  consumers: [],
  now: Date.now
})
const statusOf = async (name: string) => (await readStatus()).find(status => status.name === name)

const start = (...consumers: readonly Record<string, unknown>[]): Promise<TestService> =>
  startTestService({ REDIS_URL: redis.url, CONSUMERS_FILE: consumersFile(...consumers) })

async function replicas(t: Test, consumer: Record<string, unknown>): Promise<readonly TestService[]> {
  const services = await Promise.all([start(consumer), start(consumer)])
  t.teardown(() => Promise.all(services.map(service => service.close())))
  return services
}

t.test(
  'all replicas stop within two seconds, the log keeps the events, and none is missing later',
  async t => {
    const receiver = await startReceiver()
    t.teardown(() => receiver.stop())
    await replicas(t, httpConsumer('crm', receiver.url))
    await appendEvent(redis.client, { id: 'before' })
    await until('the first event', async () => receiver.requests.length === 1)

    await states.pause('crm')
    await sleep(OBEYED_MS)
    for (let index = 0; index < 20; index++) await appendEvent(redis.client, { id: `paused-${index}` })
    await sleep(1500)
    t.equal(receiver.requests.length, 1)
    const paused = await statusOf('crm')
    t.match(paused, { state: 'paused', lag: 20, queued: 0 })
    t.ok(Date.now() - (paused?.pausedAtMs ?? 0) < 10_000)

    await states.resume('crm')
    await until('all events', async () => receiver.requests.length === 21, OBEYED_MS + 3000)
    t.match(await statusOf('crm'), { state: 'ok', pausedAtMs: undefined })
  }
)

t.test('events in the push queue wait, and requests in flight finish', async t => {
  const open: (() => void)[] = []
  const receiver = await startReceiver((_request, response) => {
    open.push(() => response.writeHead(200).end())
  })
  t.teardown(() => receiver.stop())
  const [service] = await replicas(
    t,
    httpConsumer('crm', receiver.url, { concurrency: 2, timeoutMs: 60_000 })
  )
  for (let index = 0; index < 10; index++) await appendEvent(redis.client, { id: `e${index}` })
  await until('requests in flight', async () => open.length === 2)
  await states.pause('crm')
  await sleep(OBEYED_MS + 1500)
  for (const answer of open) answer()
  await until('both counted', async () => (await statusOf('crm'))?.pending === 8)
  await sleep(500)
  t.equal(receiver.requests.length, 2, 'none was aborted or repeated, and none follows')
  t.match(service?.logText(), /consumer paused/)
  receiver.behave((_request, response) => void response.writeHead(200).end())
  await states.resume('crm')
  await until('all events', async () => receiver.requests.length === 10, 5000)
})

t.test(
  'a consumer that answers 410 is stopped in all replicas, and continues when it is enabled',
  async t => {
    const receiver = await startReceiver((_request, response) => void response.writeHead(410).end())
    t.teardown(() => receiver.stop())
    await replicas(t, httpConsumer('crm', receiver.url))
    await appendEvent(redis.client, { id: 'refused' })
    await until('disabled', async () => (await statusOf('crm'))?.state === 'disabled')
    await sleep(OBEYED_MS)
    const requests = receiver.requests.length
    t.ok(requests <= 2, 'the other replica can take the event over before it knows')
    for (let index = 0; index < 5; index++) await appendEvent(redis.client, { id: `e${index}` })
    await sleep(1000)
    t.equal(receiver.requests.length, requests)
    t.match(await statusOf('crm'), { state: 'disabled', lag: 5, pending: 1 })
    receiver.behave((_request, response) => void response.writeHead(200).end())
    await states.enable('crm')
    const { queue } = inspectQueue(redis.connection, 'cio:', 'crm')
    await queue.resume()
    await until('all events', async () => receiver.requests.length === requests + 6, OBEYED_MS + 3000)
  }
)

t.test('a batch in flight finishes when a broker consumer is paused', async t => {
  const nats = await startNats()
  t.teardown(() => nats.stop())
  const service = await start(natsConsumer('bus', nats.url))
  t.teardown(() => service.close())
  await appendEvent(redis.client, { id: 'before' })
  await until('the first event', async () => (await statusOf('bus'))?.lastSuccessAtMs !== undefined)
  await freeze(nats)
  await appendEvent(redis.client, { id: 'in-flight' })
  await until('it is in flight', async () => (await statusOf('bus'))?.pending === 1)
  await states.pause('bus')
  await until('paused', async () => /consumer paused/.test(service.logText()))
  // More than a stop of the service waits.
  await sleep(2500)
  nats.process.kill('SIGCONT')
  await until('it is acknowledged', async () => (await statusOf('bus'))?.pending === 0, 5000)
})

t.test('a broker consumer stays paused over a restart', async t => {
  const nats = await startNats()
  t.teardown(() => nats.stop())
  const bus = natsConsumer('bus', nats.url)
  const first = await start(bus)
  await appendEvent(redis.client, { id: 'before' })
  await until('the first event', async () => (await statusOf('bus'))?.lag === 0)
  await states.pause('bus')
  await until('paused', async () => /consumer paused/.test(first.logText()))
  await first.close()
  await appendEvent(redis.client, { id: 'paused' })
  const second = await start(bus)
  t.teardown(() => second.close())
  await until('paused again', async () => /consumer paused/.test(second.logText()))
  await sleep(1200)
  t.match(await statusOf('bus'), { state: 'paused', lag: 1, pending: 0 })
  await states.resume('bus')
  await until('the second event', async () => {
    const status = await statusOf('bus')
    return status?.lag === 0 && status.pending === 0
  })
})

t.test(
  'a consumer that is paused twice shows since when it is paused, and removing it forgets this',
  async t => {
    await states.pause('crm')
    const [[, firstMs] = []] = [...(await states.paused())]
    await sleep(5)
    await states.pause('crm')
    t.same(await states.paused(), new Map([['crm', firstMs]]))
    await states.remove('crm')
    t.equal((await states.paused()).size, 0)
  }
)
