import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { consumersFile, httpConsumer, natsConsumer, WEBHOOK_SECRET } from '../helpers/consumers-file.ts'
import { startNats, type TestNats } from '../helpers/nats.ts'
import { cloudEventText } from '../helpers/outgoing.ts'
import { answers, startReceiver, type TestReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'

const body = (id: string, objectType = 'email', metric = 'opened'): string =>
  JSON.stringify({
    event_id: id,
    object_type: objectType,
    metric,
    timestamp: 1795510800,
    data: { customer_id: id, recipient: 'canary@example.com' }
  })

async function startDispatching(
  t: Test,
  redis: { readonly url: string },
  ...consumers: readonly Record<string, unknown>[]
): Promise<TestService> {
  const service = await startTestService({
    REDIS_URL: redis.url,
    CONSUMERS_FILE: consumersFile(...consumers)
  })
  t.teardown(() => service.close())
  return service
}

const idsAt = (receiver: TestReceiver): string[] =>
  receiver.requests.map(({ headers }) => headers['webhook-id'] ?? '')

/** The number of messages in the stream of the service; 0 while it has none. */
async function countMessages(t: Test, nats: TestNats): Promise<() => Promise<number>> {
  const connection = await connect({ servers: nats.url })
  t.teardown(() => connection.close())
  const manager = await jetstreamManager(connection)
  return () =>
    manager.streams.info('CIO').then(
      ({ state }) => state.messages,
      () => 0
    )
}

const metric = (text: string, name: string): number =>
  Number(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1])

t.test('each consumer gets every event of its types once, and no other', async t => {
  const [redis, nats, all, some] = await Promise.all([
    startRedis(),
    startNats(),
    startReceiver(),
    startReceiver()
  ])
  t.teardown(() => Promise.all([redis.stop(), nats.stop(), all.stop(), some.stop()]))
  const service = await startDispatching(
    t,
    redis,
    httpConsumer('all', all.url),
    httpConsumer('some', some.url, { types: ['customer.*', '*.bounced'] }),
    natsConsumer('bus', nats.url)
  )

  const deliveries = Array.from({ length: 60 }, (_, index) =>
    body(`e${index}`, ['email', 'customer', 'sms'][index % 3], ['opened', 'subscribed', 'bounced'][index % 3])
  )
  for (const delivery of deliveries) t.equal((await service.post(delivery)).status, 200)
  const wanted = Array.from({ length: 60 }, (_, index) => `e${index}`)
  await until('all', async () => all.requests.length >= 60)
  await until('some', async () => some.requests.length >= 40)
  const published = await countMessages(t, nats)
  await until('bus', async () => (await published()) >= 60)
  t.same(idsAt(all).sort(), wanted.toSorted())
  t.same(idsAt(some).sort(), wanted.filter((_, index) => index % 3 !== 0).sort())
  t.equal(await published(), 60)
  for (const request of all.requests) {
    new Webhook(WEBHOOK_SECRET).verify(request.body, { ...request.headers })
    t.notMatch(request.body + JSON.stringify(request.headers), 'canary')
  }

  const text = await until('metrics', async () => {
    const text = await (await fetch(`${service.url}/metrics`)).text()
    return metric(text, 'cio_consumer_outstanding{consumer="all"}') === 0 && text
  })
  t.equal(metric(text, 'cio_consumer_attempts_total{consumer="all",outcome="delivered"}'), 60)
  t.equal(metric(text, 'cio_consumer_attempts_total{consumer="bus",outcome="delivered"}'), 60)
  t.equal(metric(text, 'cio_consumer_oldest_unacknowledged_seconds{consumer="all"}'), 0)
  t.equal(metric(text, 'cio_consumer_lag{consumer="all",partition="0"}'), 0)
  t.notMatch(service.logText(), 'whsec_')
})

t.test('a clean stop is not reported as a failure of a consumer', async t => {
  const [redis, nats, receiver] = await Promise.all([startRedis(), startNats(), startReceiver()])
  t.teardown(() => Promise.all([redis.stop(), nats.stop(), receiver.stop()]))
  const service = await startDispatching(
    t,
    redis,
    httpConsumer('pushed', receiver.url),
    natsConsumer('bus', nats.url)
  )
  await service.post(body('e1'))
  const published = await countMessages(t, nats)
  await until('the event', async () => receiver.requests.length === 1 && (await published()) === 1)
  await service.close()
  t.notMatch(service.logText(), /"level":"(?:warn|error)"/)
})

t.test('a consumer that hangs delays no other, and the log keeps its events', async t => {
  const [redis, slow, fast] = await Promise.all([startRedis(), startReceiver(() => {}), startReceiver()])
  t.teardown(() => Promise.all([redis.stop(), slow.stop(), fast.stop()]))
  const service = await startDispatching(
    t,
    redis,
    // Longer than this test takes on a busy machine: a request that times out would be repeated.
    httpConsumer('slow', slow.url, { concurrency: 2, backlog: 10, timeoutMs: 120_000 }),
    httpConsumer('fast', fast.url)
  )
  for (let index = 0; index < 100; index++) await service.post(body(`e${index}`))
  await until('fast', async () => fast.requests.length === 100)
  t.ok(slow.requests.length <= 2)
  const { groups } = { groups: (await redis.client.xinfo('GROUPS', 'cio:events:{0}')) as unknown[][] }
  t.equal(groups.length, 2)
  t.equal(await redis.client.xlen('cio:events:{0}'), 100)
  const jobs = (await redis.client.keys('cio:push:{slow}:push:0-*')).filter(key => !key.endsWith(':lock'))
  t.ok(jobs.length <= 10, `${jobs.length} events are out of the log`)
})

t.test(
  'malformed entries become dead letters, events of doctor are skipped, the others are delivered',
  async t => {
    const [redis, receiver] = await Promise.all([startRedis(), startReceiver()])
    await redis.client.xadd('cio:events:{0}', '*', 'type', 'x', 'event', '{not json')
    await redis.client.xadd('cio:events:{0}', '*', 'other', 'thing')
    const doctor = 'io.customer.doctor'
    await redis.client.xadd('cio:events:{0}', '*', 'type', doctor, 'event', cloudEventText('doctor', doctor))
    t.teardown(() => Promise.all([redis.stop(), receiver.stop()]))
    const service = await startDispatching(t, redis, httpConsumer('crm', receiver.url))
    await service.post(body('good'))
    await until('the good one', async () => receiver.requests.length === 1)
    t.same(idsAt(receiver), ['good'])
    const dead = () => redis.client.xrange('cio:dead:crm', '-', '+')
    await until('both malformed ones', async () => (await dead()).length === 2)
    for (const [, fields] of await dead()) t.equal(fields[fields.indexOf('reason') + 1], 'malformed')
  }
)

t.test('after a restart all events are delivered, also those the old process had in flight', async t => {
  const redis = await startRedis()
  const receiver = await startReceiver(answers(503))
  t.teardown(() => Promise.all([redis.stop(), receiver.stop()]))
  const http = httpConsumer('crm', receiver.url, { retryDelayMs: 300, maxRetryDelayMs: 300, backlog: 20 })
  const first = await startTestService({ REDIS_URL: redis.url, CONSUMERS_FILE: consumersFile(http) })
  for (let index = 0; index < 50; index++) await first.post(body(`e${index}`))
  await until('some attempts', async () => receiver.requests.length >= 5)
  const startedMs = performance.now()
  await first.close()
  t.ok(performance.now() - startedMs < 4500, 'it ends in time')
  const delivered = new Set<string>()
  receiver.behave((request, response) => {
    delivered.add(request.headers['webhook-id'] ?? '')
    response.writeHead(200).end()
  })
  await startDispatching(t, redis, http)
  await until('all', async () => delivered.size === 50)
})

t.test('with DISPATCH=off no consumer group is created', async t => {
  const [redis, receiver] = await Promise.all([startRedis(), startReceiver()])
  const service = await startTestService({
    REDIS_URL: redis.url,
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url)),
    DISPATCH: 'off'
  })
  t.teardown(async () => {
    await service.close()
    await Promise.all([redis.stop(), receiver.stop()])
  })
  t.equal((await service.post(body('e1'))).status, 200)
  t.same(await redis.client.xinfo('GROUPS', 'cio:events:{0}'), [])
})
