import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { createServer } from 'node:net'
import t from 'tap'
import { consoleClient, PASSWORD } from './helpers/console.ts'
import { consumersFile, httpConsumer } from './helpers/consumers-file.ts'
import { runCommand, startServiceProcess } from './helpers/process.ts'
import { startReceiver } from './helpers/receiver.ts'
import { startRedis } from './helpers/redis.ts'
import { freePort, until } from './helpers/server.ts'
import { deliverTo, postTo } from './helpers/service.ts'
import { KEY, WEBHOOK_PATH } from './helpers/sign.ts'

// Several processes start one after another, and each waits for Redis.
t.setTimeout(600_000)

const settings = { HOST: '127.0.0.1', PORT: '0', CIO_WEBHOOK_SECRET: KEY, WORKERS: '2' }

let ids = 0
const newBody = (): string =>
  JSON.stringify({ event_id: `id-${++ids}`, object_type: 'email', metric: 'sent' })

const childrenOf = (pid: number | undefined): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

t.test(
  'a Redis that does not fulfil the requirements ends the start with 2, with one worker and with several',
  async t => {
    const redis = await startRedis({ appendonly: 'no' })
    t.teardown(() => redis.stop())
    const {
      process: service,
      ended,
      output
    } = runCommand(['serve'], {
      ...settings,
      REDIS_URL: redis.url,
      DURABILITY: 'fsync'
    })
    t.teardown(() => service.kill('SIGKILL'))
    t.equal(await ended, 2)
    t.match(output(), 'cio-webhook serve: DURABILITY=fsync needs a Redis')
    t.notMatch(output(), /^ +at /m, 'without a stack trace')
  }
)

t.test('SIGTERM while the workers wait for Redis ends all of them with 0', async t => {
  let connections = 0
  const silent = createServer(() => connections++).listen(0, '127.0.0.1')
  t.teardown(() => silent.close())
  await until('listening', async () => silent.listening)
  const address = silent.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const {
    process: service,
    ended,
    output
  } = runCommand(['serve'], {
    ...settings,
    REDIS_URL: `redis://127.0.0.1:${port}`
  })
  t.teardown(() => service.kill('SIGKILL'))
  await until('a worker asks', async () => connections > 0)
  service.kill('SIGTERM')
  t.equal(await ended, 0)
  t.notMatch(output(), /fatal|before it listened/)
})

t.test('a worker killed before it listens is replaced, and the start continues', async t => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1')
  t.teardown(() => silent.close())
  await until('listening', async () => silent.listening)
  const address = silent.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const command = runCommand(['serve'], { ...settings, REDIS_URL: `redis://127.0.0.1:${port}` })
  const { process: service, ended, output } = command
  t.teardown(() => service.kill('SIGKILL'))
  const [victim = 0] = await until('two workers', async () => {
    const workers = childrenOf(service.pid)
    return workers.length === 2 && workers
  })
  process.kill(victim, 'SIGKILL')
  await until('all receive', async () => output().includes('"msg":"receiving"'), 60_000)
  t.notOk(childrenOf(service.pid).includes(victim))
  t.match(output(), 'replacement worker is ready')
  service.kill('SIGTERM')
  t.equal(await ended, 0)
})

t.test(
  'a replacement that cannot start is retried, and the service continues',
  { timeout: 90_000 },
  async t => {
    const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    t.teardown(() => redis.stop())
    const service = await startServiceProcess({ WORKERS: '2', REDIS_URL: redis.url, DURABILITY: 'fsync' })
    t.teardown(() => service.process.kill('SIGKILL'))
    // One worker answers before the other is ready, and a failed first start ends the service.
    await until('both workers', async () => service.output().includes('"msg":"receiving"'), 30_000)
    const isUp = (pid: number): boolean => service.output().includes(`"pid":${pid},"redis":`)
    const failures = (): number => service.output().split('DURABILITY=fsync needs').length - 1
    await redis.client.config('SET', 'appendonly', 'no')
    const [victim = 0, other = 0] = childrenOf(service.process.pid)
    process.kill(victim, 'SIGKILL')
    await until('one that could not start', async () => failures() > 0, 30_000)
    t.ok(childrenOf(service.process.pid).includes(other))

    await redis.client.config('SET', 'appendonly', 'yes')
    await until(
      'it is replaced',
      async () => childrenOf(service.process.pid).some(pid => pid !== other && isUp(pid)),
      30_000
    )
    service.process.kill('SIGTERM')
    t.equal(await service.ended, 0)
  }
)

t.test('several workers share the port, one log, and one consistent /metrics', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const service = await startServiceProcess({ REDIS_URL: redis.url, WORKERS: '2' })
  t.teardown(() => service.process.kill('SIGKILL'))
  const bodies = Array.from({ length: 60 }, newBody)
  const twice = await Promise.all(
    [...bodies, ...bodies].map(body => deliverTo(service.url + WEBHOOK_PATH, body))
  )
  t.equal(twice.filter(answer => answer.body['status'] === 'accepted').length, 60)
  t.equal(await redis.client.xlen('cio:events:{0}'), 60)

  await until('lines of a primary and two workers', async () => {
    return new Set(service.output().match(/"pid":\d+/g)).size === 3
  })
  for (let scrape = 0; scrape < 5; scrape++) {
    const metrics = await (await fetch(`${service.url}/metrics`)).text()
    t.match(metrics, /^cio_deliveries_total\{source="default",outcome="accepted"\} 60$/m)
    t.match(metrics, /^cio_deliveries_total\{source="default",outcome="duplicate"\} 60$/m)
    t.match(metrics, /^cio_stream_length\{partition="0"\} 60$/m)
  }

  const [, worker = ''] = /"pid":(\d+).*"outcome"/.exec(service.output()) ?? []
  process.kill(Number(worker), 'SIGKILL')
  await until('another worker', async () => /worker ended unexpectedly/.test(service.output()))
  await until(
    'service as before',
    async () => (await postTo(service.url + WEBHOOK_PATH, newBody())).status === 200
  )
  service.process.kill('SIGTERM')
  t.equal(await service.ended, 0)
})

t.test(
  'when the worker that runs the console is killed, deliveries and consumers continue, and the console comes back',
  async t => {
    const redis = await startRedis()
    const receiver = await startReceiver()
    const consolePort = await freePort()
    const service = await startServiceProcess({
      REDIS_URL: redis.url,
      WORKERS: '2',
      CONSOLE_PORT: String(consolePort),
      CONSOLE_PASSWORD: PASSWORD,
      CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
    })
    t.teardown(async () => {
      service.process.kill('SIGTERM')
      await service.ended
      await receiver.stop()
      await redis.stop()
    })
    const consolePids = (): string[] =>
      [...service.output().matchAll(/"pid":(\d+).*"console is open"/g)].map(([, pid = '']) => pid)
    await until('the console', async () => consolePids().length === 1)
    await until('both workers', async () => service.output().includes('"msg":"receiving"'))
    const person = consoleClient(`http://127.0.0.1:${consolePort}`)
    t.equal((await person.logIn(PASSWORD)).status, 303)

    process.kill(Number(consolePids()[0]), 'SIGKILL')
    const bodies = Array.from({ length: 200 }, newBody)
    for (const body of bodies) {
      // One that reaches the killed worker is sent again, as Customer.io does.
      await until(
        'accepted',
        async () => (await postTo(service.url + WEBHOOK_PATH, body).catch(() => undefined))?.status === 200
      )
    }
    await until('another console', async () => consolePids().length === 2)
    t.not(consolePids()[1], consolePids()[0])
    const { status, text } = await until('its pages', async () =>
      person.get('/consumers').catch(() => undefined)
    )
    t.equal(status, 200, 'without another log-in')
    t.match(text, 'href="/consumers/crm"')
    const received = (): number => new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size
    await until('every event at the consumer', async () => received() === bodies.length)
  }
)

/** On a connection of its own: a worker that is stopped must not get the next request. */
const scrape = (url: string): Promise<{ readonly status: number | undefined; readonly text: string }> =>
  new Promise((resolve, reject) => {
    get(`${url}/metrics`, { agent: false }, async response => {
      resolve({ status: response.statusCode, text: Buffer.concat(await response.toArray()).toString() })
    }).once('error', reject)
  })

t.test(
  'a worker that ends does not make the counters fall, and one that hangs makes a scrape fail in time',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop())
    const service = await startServiceProcess({ REDIS_URL: redis.url, WORKERS: '2' })
    t.teardown(() => service.process.kill('SIGKILL'))
    await until('both workers', async () => service.output().includes('"msg":"receiving"'))
    const bodies = Array.from({ length: 60 }, newBody)
    await Promise.all(bodies.map(body => deliverTo(service.url + WEBHOOK_PATH, body)))
    const accepted = /^cio_deliveries_total\{source="default",outcome="accepted"\} 60$/m
    t.match((await scrape(service.url)).text, accepted)

    const [, worker = ''] = /"pid":(\d+).*"outcome"/.exec(service.output()) ?? []
    process.kill(Number(worker), 'SIGKILL')
    await until('its end', async () => service.output().includes('worker ended unexpectedly'))
    const { status, text } = await scrape(service.url)
    t.equal(status, 200, 'while its replacement starts')
    t.match(text, accepted)
    await until(
      'its replacement',
      async () => service.output().includes('replacement worker is ready'),
      30_000
    )
    t.match((await scrape(service.url)).text, accepted)

    const [hanging = 0] = childrenOf(service.process.pid)
    process.kill(hanging, 'SIGSTOP')
    t.teardown(() => process.kill(hanging, 'SIGKILL'))
    const startedMs = performance.now()
    t.equal((await scrape(service.url)).status, 503, 'not 200 without metrics')
    t.ok(performance.now() - startedMs < 3500, `${performance.now() - startedMs} ms`)
    process.kill(hanging, 'SIGCONT')
    t.match((await scrape(service.url)).text, accepted)
  }
)

t.test('with several workers, a lag that Redis does not know is not 0', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const service = await startServiceProcess({ REDIS_URL: redis.url, WORKERS: '2' })
  t.teardown(() => service.process.kill('SIGKILL'))
  for (const body of Array.from({ length: 3 }, newBody)) await postTo(service.url + WEBHOOK_PATH, body)
  await redis.client.xgroup('CREATE', 'cio:events:{0}', 'plain', '0')
  const [, second] = await redis.client.xrange('cio:events:{0}', '-', '+')
  await redis.client.xdel('cio:events:{0}', second?.[0] ?? '')
  t.match((await scrape(service.url)).text, /^cio_consumer_lag\{consumer="plain",partition="0"\} NaN$/im)
})
