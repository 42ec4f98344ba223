import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { bestTime } from '../helpers/best-time.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, freeze, temporaryFolder, until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { newBody } from '../helpers/sign.ts'

const LIMIT_MS = 3500

/** The answer and its duration. */
async function timed<T>(act: () => Promise<T>): Promise<{ answer: T; ms: number }> {
  const started = performance.now()
  return { answer: await act(), ms: performance.now() - started }
}

const getJson = async (url: string) => {
  const response = await fetch(url)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

t.test(
  'while Redis hangs, deliveries are answered within 3.5 s, later at once, and recover without a restart',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop('SIGKILL'))
    const service = await startTestService({ REDIS_URL: redis.url })
    t.teardown(() => service.close())
    const first = newBody()
    t.equal((await service.post(first)).status, 200)

    await freeze(redis)
    const during = newBody()
    const hanging = await timed(() => service.post(during))
    t.match(hanging.answer, { status: 503, body: { code: 'CIO_UNAVAILABLE' } })
    t.ok(hanging.answer.headers.get('retry-after'))
    t.ok(hanging.ms < LIMIT_MS, `answered after ${Math.round(hanging.ms)} ms`)

    await until('the service noticing', async () => (await getJson(`${service.url}/readyz`)).status === 503)
    const refuse = async () => t.equal((await service.post(newBody())).status, 503)
    const knownMs = await bestTime(500, refuse)
    t.ok(knownMs < 500, `once it is known, at once: ${Math.round(knownMs)} ms`)
    t.match(await getJson(`${service.url}/healthz`), {
      status: 200,
      body: { status: 'degraded', redis: 'down' }
    })
    const metrics = await timed(() => fetch(`${service.url}/metrics`))
    t.ok(metrics.answer.ok && metrics.ms < LIMIT_MS, 'and the metrics can still be read')

    redis.process.kill('SIGCONT')
    await until('recovery', async () => (await getJson(`${service.url}/readyz`)).status === 200)
    const retry = await service.post(during)
    t.equal(retry.status, 200, 'the retry finds out what became of it')
    t.equal((await service.post(first)).body['status'], 'duplicate')
    const stream = await redis.client.xrange('cio:events:{0}', '-', '+')
    const kept = stream.map(([, fields]) => JSON.parse(fields[3] ?? '{}').id)
    t.equal(new Set(kept).size, kept.length, 'nothing is there twice')
  }
)

t.test('readiness ends within 3 s of Redis hanging, with and without deliveries', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop('SIGKILL'))
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  const readiness = async (): Promise<number> => (await getJson(`${service.url}/readyz`)).status
  const isUp = async (): Promise<string | undefined> =>
    /^cio_redis_up (\d)$/m.exec(await (await fetch(`${service.url}/metrics`)).text())?.[1]
  t.same([await readiness(), await isUp()], [200, '1'])

  await freeze(redis)
  const silent = await timed(() => until('readiness to end', async () => (await readiness()) === 503))
  t.ok(silent.ms < 3000, `after ${Math.round(silent.ms)} ms`)
  t.equal(await isUp(), '0')
  redis.process.kill('SIGCONT')
  await until('recovery', async () => (await readiness()) === 200)

  await redis.client.client('PAUSE', 1000, 'ALL')
  const endMs = performance.now() + 1500
  const seen = new Set<number>()
  while (performance.now() < endMs) seen.add(await readiness())
  t.same([...seen], [200], 'also while Redis is busy for a second')
})

t.test('without Redis deliveries get 503 at once, and its data is still there when it is back', async t => {
  const port = await freePort()
  const folder = temporaryFolder()
  const settings = { appendonly: 'yes', appendfsync: 'always' }
  let redis = await startRedis(settings, { port, folder })
  t.teardown(() => redis.stop('SIGKILL'))
  const service = await startTestService({ REDIS_URL: redis.url, DURABILITY: 'fsync' })
  t.teardown(() => service.close())
  const before = newBody()
  t.equal((await service.post(before)).status, 200)

  await redis.stop('SIGKILL')
  await until('the service noticing', async () => (await service.post(newBody())).status === 503)
  const goneMs = await bestTime(500, async () => t.equal((await service.post(newBody())).status, 503))
  t.ok(goneMs < 500, `${Math.round(goneMs)} ms`)

  redis = await startRedis(settings, { port, folder })
  await until('recovery', async () => (await getJson(`${service.url}/readyz`)).status === 200)
  t.equal((await service.post(before)).body['status'], 'duplicate', 'what was answered with 200 was kept')
  t.equal((await service.post(newBody())).body['status'], 'accepted')
})

t.test('a service that starts before its Redis answers 503 until it is there', async t => {
  const port = await freePort()
  const service = await startTestService({ REDIS_URL: `redis://127.0.0.1:${port}` }, { ready: false })
  t.teardown(() => service.close())
  t.match(await getJson(`${service.url}/healthz`), { status: 200, body: { redis: 'down' } })
  t.equal((await service.post(newBody())).status, 503)
  const redis = await startRedis({}, { port })
  t.teardown(() => redis.stop())
  await until('readiness', async () => (await getJson(`${service.url}/readyz`)).status === 200)
  t.equal((await service.post(newBody())).status, 200)
})

t.test('with a full Redis or a replica, deliveries get 503 until that changes', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  t.equal((await service.post(newBody())).status, 200)

  await redis.client.config('SET', 'maxmemory', '1mb')
  t.equal((await service.post(newBody())).status, 503, 'out of memory')
  await redis.client.config('SET', 'maxmemory', '0')
  t.equal((await service.post(newBody())).status, 200)

  await redis.client.replicaof('127.0.0.1', await freePort())
  t.equal((await service.post(newBody())).status, 503, 'a replica takes no writes')
  await redis.client.replicaof('NO', 'ONE')
  const body = newBody()
  await until('recovery', async () => (await service.post(body)).status === 200)
  const reasons = service.logLines().filter(line => line['status'] === 503)
  t.ok(reasons.length > 0 && reasons.every(line => line['reason'] !== undefined), 'each says why')
})

t.test('an outage is logged with each cause once, and its end with how long it lasted', async t => {
  const redis = await startRedis()
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  await redis.stop('SIGKILL')
  const lines = (): string[] =>
    service
      .logLines()
      .flatMap(({ level, msg }) => (level === 'error' || /up/.test(String(msg)) ? [String(msg)] : []))
  await until('the cause', async () => lines().some(line => line.includes('ECONNREFUSED')))
  await sleep(2500)
  const again = await startRedis({}, { port: redis.port })
  t.teardown(() => again.stop('SIGKILL'))
  await until('recovery', async () => lines().some(line => line.includes('up again')))
  const logged = lines()
  t.equal(logged[0], 'Redis is up')
  t.match(logged.at(-1), /^Redis is up again after \d+ s$/)
  // A command that was running when the server died adds a cause of its own.
  const causes = logged.slice(1, -1)
  t.same([...new Set(causes)], causes, 'each cause once')
  const cause = 'ECONNREFUSED (nothing listens at this address)'
  t.ok(
    causes.includes(
      `cannot reach Redis at 127.0.0.1:${redis.port}: ${cause}; deliveries get 503 until it is back`
    )
  )
  t.match(await getJson(`${service.url}/healthz`), {
    body: { status: 'ok', redisServer: /^(Redis|Valkey) \d+\.\d+\.\d+$/, redisCause: undefined }
  })
})

t.test('the version, the address and the cause are shown to operators only', async t => {
  const redis = await startRedis()
  const service = await startTestService({ REDIS_URL: redis.url, METRICS_ALLOWED_IPS: '203.0.113.1' })
  t.teardown(() => service.close())
  const { body: healthy } = await getJson(`${service.url}/healthz`)
  t.match(healthy, { status: 'ok', redis: 'up', redisServer: undefined })
  await redis.stop('SIGKILL')
  await until('the cause', async () => service.logText().includes('ECONNREFUSED'))
  const { body } = await getJson(`${service.url}/healthz`)
  t.match(body, { status: 'degraded', redis: 'down', reason: 'Redis is down' })
  t.notMatch(JSON.stringify(body), /127\.0\.0\.1|ECONNREFUSED/)
})
