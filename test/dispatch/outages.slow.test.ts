import t, { type Test } from 'tap'
import { attemptHistory } from '../../src/dispatch/attempts.ts'
import { consumerStatusReader } from '../../src/dispatch/consumer-status.ts'
import { consumersFile, httpConsumer, natsConsumer } from '../helpers/consumers-file.ts'
import { appendEvent } from '../helpers/log.ts'
import { startNats } from '../helpers/nats.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { connectedRedis, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())

const history = attemptHistory(redis.connection, 'cio:')
const readStatus = consumerStatusReader({
  redis: redis.connection,
  keyPrefix: 'cio:',
  consumers: [],
  now: Date.now
})

async function start(t: Test, ...consumers: readonly Record<string, unknown>[]): Promise<TestService> {
  const service = await startTestService({
    REDIS_URL: redis.url,
    CONSUMERS_FILE: consumersFile(...consumers)
  })
  t.teardown(() => service.close())
  return service
}

const linesOf = (service: TestService, consumer: string): readonly Record<string, unknown>[] =>
  service.logLines().filter(line => line['consumer'] === consumer)

const FAST_RETRIES = { retryDelayMs: 50, maxRetryDelayMs: 50 }

t.test(
  'an HTTP consumer that fails, recovers and rejects an event: log lines, attempts, dead letter',
  async t => {
    const receiver = await startReceiver(answers(503))
    t.teardown(() => receiver.stop())
    const service = await start(t, httpConsumer('crm', receiver.url, { ...FAST_RETRIES, maxAttempts: 50 }))
    await appendEvent(redis.client, { id: 'e1' })
    await until('some attempts', async () => receiver.requests.length >= 3)
    const { failingSinceMs = 0 } = await until('failing', async () =>
      (await readStatus()).find(({ state, failures }) => state === 'failing' && failures > 1)
    )
    receiver.behave(answers(200))
    await until('recovery', async () => linesOf(service, 'crm').some(({ level }) => level === 'info'))
    const requests = receiver.requests.length
    const [first, last, ...more] = linesOf(service, 'crm')
    t.match(first, { level: 'warn', id: 'e1', attempt: 1, answer: '503', ms: Number })
    t.match(last, { level: 'info', failedAttempts: requests - 1, failedForMs: Number })
    t.same(more, [])

    const attempts = await until('the attempts', async () => {
      const found = await history.ofEvent('crm', 'e1')
      return found.length === requests && found
    })
    t.match(attempts[0], { attempt: requests, outcome: 'delivered', answer: '200' })
    t.match(attempts.at(-1), { attempt: 1, outcome: 'failed', answer: '503' })
    t.ok(failingSinceMs > 0 && failingSinceMs < (attempts.at(-2)?.atMs ?? 0), 'since the first attempt')
    await until('ok', async () => (await readStatus()).every(({ state }) => state === 'ok'))
  }
)

t.test('a dead letter is a warning with the event, its type and the reason', async t => {
  const receiver = await startReceiver(answers(404))
  t.teardown(() => receiver.stop())
  const service = await start(t, httpConsumer('crm', receiver.url, { ...FAST_RETRIES, maxAttempts: 2 }))
  await appendEvent(redis.client, { id: 'e1', type: 'io.customer.email.opened' })
  const line = await until('the line', async () =>
    linesOf(service, 'crm').find(({ msg }) => msg === 'event moved to dead letters')
  )
  t.match(line, {
    level: 'warn',
    id: 'e1',
    type: 'io.customer.email.opened',
    attempts: 2,
    reason: 'status 404'
  })
})

t.test('a consumer that answers 410 is an error with the command, and the state shows the 410', async t => {
  const receiver = await startReceiver(answers(410))
  t.teardown(() => receiver.stop())
  const service = await start(t, httpConsumer('crm', receiver.url))
  for (let index = 0; index < 5; index++) await appendEvent(redis.client, { id: `e${index}` })
  await until('disabled', async () => (await readStatus()).some(({ state }) => state === 'disabled'))
  const errors = await until('the line', async () => {
    const found = linesOf(service, 'crm').filter(({ level }) => level === 'error')
    return found.length > 0 && found
  })
  t.equal(errors.length, 1)
  t.match(errors[0], { answer: '410', msg: /cio-webhook consumers enable crm$/ })
  t.match(await readStatus(), [{ lastFailure: 'answered 410 (Gone)', disabledReason: 'answered 410 (Gone)' }])
  t.match(await until('the attempt', async () => (await history.newest('crm', 1))[0]), { outcome: 'gone' })
})

t.test(
  'a NATS server that is down, and a stream with other subjects: the cause is logged and shown',
  async t => {
    const nats = await startNats()
    t.teardown(() => nats.stop())
    const service = await start(
      t,
      natsConsumer('down', 'nats://127.0.0.1:1'),
      natsConsumer('one', nats.url, { stream: 'ONE' }),
      natsConsumer('two', nats.url, { stream: 'TWO' })
    )
    await appendEvent(redis.client, { id: 'e1' })
    const shown = await until('both failures', async () => {
      const failing = (await readStatus()).filter(({ state }) => state === 'failing')
      return failing.length === 2 && failing
    })
    t.match(shown[0]?.lastFailure, /^no NATS server answers at nats:\/\/127\.0\.0\.1:1: .*ECONNREFUSED/)
    t.match(linesOf(service, 'down')[0], { level: 'warn', answer: 'ECONNREFUSED', id: 'e1', attempt: 1 })
    const failed = await until('an attempt', async () => (await history.ofEvent('down', 'e1'))[0])
    t.match(failed, { outcome: 'failed', answer: 'ECONNREFUSED' })

    t.match(shown[1]?.lastFailure, /overlap.*\(10065\)/)
    const [second, first] = shown[1]?.name === 'one' ? ['one', 'two'] : ['two', 'one']
    t.match(linesOf(service, second)[0], {
      level: 'warn',
      answer: '10065',
      err: { message: /10065/, cause: { code: 10065 } }
    })
    const delivered = await until('an attempt', async () => (await history.ofEvent(first, 'e1'))[0])
    t.match(delivered, { outcome: 'delivered', answer: 'confirmed', attempt: 1 })
  }
)

// Without HTTP consumers: after an outage of Redis, a timer of BullMQ keeps the process alive for half a minute.
t.test('an outage of Redis is not reported for each consumer', async t => {
  const [own, nats] = await Promise.all([startRedis(), startNats()])
  const service = await startTestService({
    REDIS_URL: own.url,
    CONSUMERS_FILE: consumersFile(
      natsConsumer('one', nats.url),
      natsConsumer('two', nats.url),
      natsConsumer('down', 'nats://127.0.0.1:1')
    )
  })
  t.teardown(async () => {
    await service.close()
    await Promise.all([nats.stop(), own.stop()])
  })
  await appendEvent(own.client, { id: 'e1' })
  await until('a failure', async () => linesOf(service, 'down').length > 0)
  await own.stop()
  await until('the outage', async () => /cannot reach Redis/.test(service.logText()))
  await new Promise(resolve => setTimeout(resolve, 2000))
  for (const consumer of ['one', 'two']) t.same(linesOf(service, consumer), [])
  t.same(
    linesOf(service, 'down').map(({ answer }) => answer),
    ['ECONNREFUSED'],
    'only the broker failed'
  )
})
