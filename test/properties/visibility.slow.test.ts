import { request } from 'node:http'
import fc from 'fast-check'
import t from 'tap'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { startServiceProcess } from '../helpers/process.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, until } from '../helpers/server.ts'
import { deliverTo } from '../helpers/service.ts'
import { type Headers, signV0, WEBHOOK_PATH } from '../helpers/sign.ts'

/** Number of deliveries, requests without a key, and responses of the consumer; CI sets 10,000. */
/** More would take minutes: each delivery is also posted to a consumer. */
const RUNS = Math.min(1000, Number(process.env['PROPERTY_RUNS'] ?? 300))
const BATCH = 50

t.setTimeout(600_000)

/** Tokens that must not be in any output. None occurs by chance. */
const tokenOf = (kind: string) => fc.stringMatching(new RegExp(`^${kind}[0-9a-f]{12}$`))
const personal = tokenOf('cnry')
const unverified = tokenOf('unau')
const answered = tokenOf('answ')
const LEAKED = /(?:cnry|unau|answ)[0-9a-f]{12}/

/** An authentic delivery with personal values where they end up in ids, subjects, errors and dead letters. */
const delivery = fc.tuple(personal, personal, fc.boolean()).map(([name, text, hasId]) => {
  const email = `${name}@example.com`
  return JSON.stringify({
    ...(hasId ? { event_id: email } : {}),
    object_type: 'email',
    metric: 'failed',
    timestamp: 1795510800,
    data: { customer_id: email, recipient: email, content: text, failure_message: `no mailbox ${email}` }
  })
})

interface Unsigned {
  readonly method: string
  readonly path: string
  readonly headers: Headers
  readonly body: string
}

/** A request without a key: the token is in its body, and in its path, query or one header. */
const unsigned: fc.Arbitrary<Unsigned> = unverified.chain(token => {
  const body = JSON.stringify({ event_id: token, object_type: token, metric: token, [token]: token })
  const header = fc.constantFrom(
    'content-type',
    'user-agent',
    'x-cio-idempotency-key',
    'x-cio-signature',
    'x-cio-timestamp',
    'x-forwarded-for',
    'x-forwarded-email',
    'x-request-id',
    'cookie',
    'authorization'
  )
  const path = fc.constantFrom(
    WEBHOOK_PATH,
    `${WEBHOOK_PATH}/${token}`,
    `${WEBHOOK_PATH}?${token}`,
    `/${token}`
  )
  return fc.record({
    method: fc.constantFrom('POST', 'POST', 'PUT', 'GET'),
    path,
    headers: fc
      .tuple(header, fc.boolean())
      .map(([name, isWrongKey]) => ({ ...(isWrongKey ? signV0(body, 'wrong key') : {}), [name]: token })),
    body: fc.constant(body)
  })
})

/** A response of a consumer that repeats the request, in all that it can contain. */
const answer = fc.tuple(
  fc.constantFrom(200, 204, 301, 400, 401, 404, 429, 500, 503, 0),
  answered,
  fc.constantFrom('location', 'retry-after', 'content-type', 'x-error', 'www-authenticate')
)

/** node:http, since fetch sends no such paths and headers. The response is of no interest. */
function send(origin: string, { method, path, headers, body }: Unsigned): Promise<void> {
  return new Promise(resolve => {
    const sent = request(origin + path, { method, headers: { ...headers, 'content-length': body.length } })
    sent.on('response', response => response.resume().on('close', resolve))
    sent.on('error', () => resolve())
    sent.end(body)
  })
}

t.test('attempts, dead letters, statistics: nothing personal, unverified or answered is kept', async t => {
  const redis = await startRedis()
  const receiver = await startReceiver()
  const answers = fc.sample(answer, RUNS)
  receiver.behave(({ body }, response, count) => {
    const [status, token, header] = answers[count % answers.length] ?? [500, '', 'x-error']
    if (status === 0) return void response.destroy()
    response.writeHead(status, token, { [header]: token }).end(status === 204 ? '' : token + body)
  })
  // Before the service starts: ioredis takes a command of others for the reply to MONITOR.
  const monitor = await redis.client.monitor()
  t.teardown(() => monitor.disconnect())
  let commands = 0
  monitor.on('monitor', (_time: string, command: readonly string[]) => {
    commands++
    const found = LEAKED.exec(command.join(' '))
    if (found !== null) t.fail(`${found[0]} is sent to Redis: ${command.join(' ').slice(0, 500)}`)
  })
  const consolePort = await freePort()
  const service = await startServiceProcess({
    REDIS_URL: redis.url,
    LOG_LEVEL: 'debug',
    RATE_LIMIT_MAX: '100000',
    CONSOLE_PORT: String(consolePort),
    CONSOLE_PASSWORD: 'a password of twenty and more characters',
    CONSUMERS_FILE: consumersFile(
      httpConsumer('crm', receiver.url, { maxAttempts: 2, retryDelayMs: 10, maxRetryDelayMs: 20 })
    )
  })
  t.teardown(async () => {
    service.process.kill('SIGKILL')
    await service.ended
    await Promise.all([receiver.stop(), redis.stop()])
  })
  for (let done = 0; done < RUNS; done += BATCH) {
    const requests = fc.sample(unsigned, BATCH)
    await Promise.all([
      ...fc.sample(delivery, BATCH).map(body => deliverTo(service.url + WEBHOOK_PATH, body)),
      ...requests.map(one => send(service.url, one)),
      ...requests.slice(0, 5).map(one => send(`http://127.0.0.1:${consolePort}`, one))
    ])
    const form = `password=${fc.sample(unverified, 1)[0]}`
    await fetch(`http://127.0.0.1:${consolePort}/log-in`, {
      method: 'POST',
      body: new URLSearchParams(form)
    })
  }
  await until(
    'all are delivered or dead',
    async () => {
      const [pending] = await redis.client.xpending('cio:events:{0}', 'crm')
      const queues = await Promise.all(
        ['wait', 'active', 'delayed'].map(async state => redis.client.exists(`cio:push:{crm}:push:${state}`))
      )
      return pending === 0 && queues.every(count => count === 0)
    },
    120_000
  )
  await until('the attempts and the counts', async () => {
    const counts = await redis.client.keys('cio:{deliveries}:*')
    return (await redis.client.xlen('cio:attempts:crm')) > 0 && counts.length > 1
  })
  t.ok((await redis.client.xlen('cio:dead:crm')) > 0, 'some are dead letters')
  t.ok(commands > RUNS)
  monitor.disconnect()

  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  service.process.kill('SIGTERM')
  await service.ended
  t.match(metrics, 'signature_invalid')
  t.match(service.output(), /"outcome":"signature_invalid"/)
  for (const [where, text] of [
    ['the metrics', metrics],
    ['the log', service.output()]
  ] as const) {
    const found = LEAKED.exec(text)
    const around = found === null ? '' : text.slice(Math.max(0, found.index - 300), found.index + 100)
    t.equal(around, '', `in ${where}`)
  }
})
