import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { consumersFile, httpConsumer, natsConsumer, WEBHOOK_SECRET } from '../../helpers/consumers-file.ts'
import { startNats } from '../../helpers/nats.ts'
import { runCommand } from '../../helpers/process.ts'
import { startRabbit } from '../../helpers/rabbitmq.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { freePort } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'

t.setTimeout(600_000)

const [redis, receiver, nats, rabbit] = await Promise.all([
  startRedis(),
  startReceiver(),
  startNats(),
  startRabbit()
])
const closedPort = await freePort()
t.teardown(() => Promise.all([receiver.stop(), nats.stop(), rabbit.stop(), redis.stop()]))

const env = {
  REDIS_URL: redis.url,
  CIO_WEBHOOK_SECRET: KEY,
  CONSUMERS_FILE: consumersFile(
    httpConsumer('crm', `${receiver.url}?token=hidden`, { timeoutMs: 1000 }),
    httpConsumer('refused', `http://127.0.0.1:${closedPort}/`),
    httpConsumer('unresolved', 'http://does-not-exist.invalid/'),
    httpConsumer('no-tls', receiver.url.replace('http:', 'https:')),
    natsConsumer('bus', nats.url),
    natsConsumer('bus-down', `nats://127.0.0.1:${closedPort}`),
    { name: 'work', type: 'amqp', url: rabbit.url, exchange: 'cio' },
    { name: 'work-denied', type: 'amqp', url: rabbit.url, exchange: 'cio', username: 'x', password: 'hidden' }
  )
}
const test = async (consumer: string, ...options: string[]) => {
  const command = runCommand(['consumers', 'test', consumer, ...options], env)
  const code = await command.ended
  return { code, output: command.output() }
}

t.test('an HTTP consumer that accepts the test event: exit 0, and the exchange without secrets', async t => {
  receiver.behave((_request, response) =>
    response.writeHead(202, { 'x-trace': 'abc' }).end('fine\u001b[31m\n\u202eend')
  )
  const { code, output } = await test('crm')
  t.equal(code, 0)
  t.match(output, /^> POST http:\/\/127\.0\.0\.1:\d+\/events\?…\n/)
  t.match(output, /\n> webhook-signature: v1,\S+\n/)
  t.match(output, /\n< 202\n[\s\S]*< x-trace: abc\n[\s\S]*<\n< fine\\u001b\[31m\n< \\u202eend\n/)
  t.match(output, /\naccepted after \d+ ms\n$/)
  t.notMatch(output, 'hidden')
  t.notMatch(output, WEBHOOK_SECRET.slice(6))
  const sent = receiver.requests.at(-1)
  const event = new Webhook(WEBHOOK_SECRET).verify(sent?.body ?? '', { ...sent?.headers })
  t.match(event, { type: 'io.customer.cio_webhook.test', source: '/cio-webhook/test', data: { test: true } })
  t.same(await redis.client.keys('*'), [], 'nothing of it is in Redis')
})

for (const [status, headers, fix] of [
  [401, {}, 'the same secret'],
  [403, {}, 'the same secret'],
  [404, {}, 'the path in url'],
  [410, {}, 'asks not to be called again'],
  [301, { location: 'http://other.example/' }, 'final address, http://other.example/'],
  [500, {}, 'the endpoint failed']
] as const) {
  t.test(`an HTTP consumer that answers ${status}: exit 1, with the likely fix`, async t => {
    receiver.behave(answers(status, headers))
    const { code, output } = await test('crm')
    t.equal(code, 1)
    t.match(output, new RegExp(`\n< ${status}\n`))
    t.match(output, new RegExp(`\nnot accepted after \\d+ ms\nfix: .*${fix}`))
  })
}

t.test('a response that is long or never ends is cut', async t => {
  receiver.behave((_request, response) => {
    response.writeHead(200).write('x'.repeat(100_000))
  })
  const { code, output } = await test('crm')
  t.equal(code, 0)
  t.ok(output.length < 5000)
  t.match(output, '< … (the rest is not shown)')
})

for (const [consumer, failure, fix] of [
  ['refused', 'ECONNREFUSED', 'nothing listens there'],
  ['unresolved', /E(?:NOTFOUND|AI_AGAIN)/, 'does not resolve'],
  ['no-tls', /ERR_SSL|EPROTO/, 'TLS failed'],
  ['bus-down', 'ECONNREFUSED', 'nothing listens there'],
  ['work-denied', 'ACCESS_REFUSED', 'check username and password']
] as const) {
  t.test(`${consumer}: cannot be reached: exit 1, with the code and the likely fix`, async t => {
    const { code, output } = await test(consumer)
    t.equal(code, 1)
    t.match(output, failure)
    t.match(output, new RegExp(`\nfix: .*${fix}`))
    t.notMatch(output, 'hidden')
  })
}

t.test('a silent HTTP consumer: exit 1 after its time limit', async t => {
  receiver.behave(() => {})
  t.match(await test('crm'), {
    code: 1,
    output: /not accepted after 1\d{3} ms: timeout\nfix: no answer in time/
  })
})

t.test('NATS and RabbitMQ: exit 0, with the destination and the confirmation', async t => {
  t.match(await test('bus'), {
    code: 0,
    output:
      /^connection: nats:\S+ without login\ndestination: subject cio\.cio_webhook\.test\n[\s\S]*\n< acknowledged by JetStream, stream CIO\n/
  })
  t.match(await test('work'), {
    code: 0,
    output: /destination: exchange cio, routing key cio_webhook\.test\n[\s\S]*\n< confirmed by the broker\./
  })
  const command = await test('work', '--json')
  t.match(JSON.parse(command.output), { kind: 'amqp', accepted: true, durationMs: Number })
})
