import { randomUUID } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runToEnd } from '../../helpers/command.ts'
import { startRedis } from '../../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../../helpers/server.ts'
import { startTestService } from '../../helpers/service.ts'
import { KEY, newBody, signV0 } from '../../helpers/sign.ts'

t.setTimeout(600_000)

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))

t.test('values in Redis that other programs have damaged are skipped', async t => {
  const redis = await startRedis()
  const env = { REDIS_URL: redis.url, CIO_WEBHOOK_SECRET: KEY, LOG_LEVEL: 'warn' }
  const service = await startTestService(env)
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  const intact = JSON.parse((await runToEnd(['status', '--json'], env)).stdout)
  for (const damaged of ['{"at":', 'null', '{"at":"now","sources":7,"addresses":{}}']) {
    await redis.client.hset('cio:keys:replicas', 'another', damaged)
    await redis.client.hset('cio:{deliveries}:last', 'default', damaged)
    await redis.client.set('cio:addresses', damaged)
    const { code, stdout, stderr } = await runToEnd(['status', '--json'], env)
    t.equal(stderr, '')
    t.equal(code, 0)
    t.same(JSON.parse(stdout).replicas, intact.replicas)
  }
})

t.test('a healthy service: its deliveries, keys and replicas, no problem, exit code 0', async t => {
  const redis = await startRedis()
  const env = { REDIS_URL: redis.url, CIO_WEBHOOK_SECRET: KEY, LOG_LEVEL: 'warn' }
  const service = await startTestService(env)
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  const body = newBody()
  for (const sent of [body, body, newBody()]) t.equal((await service.post(sent)).status, 200)
  t.equal((await service.post(newBody(), signV0('another body'))).status, 401)
  const read = async () => runToEnd(['status', '--json'], env)
  const status = await until('the counts', async () => {
    const { code, stdout, stderr } = await read()
    t.equal(stderr, '')
    const report = JSON.parse(stdout)
    return report.deliveries.outcomes.signature_invalid === 1 && { code, report }
  })
  t.equal(status.code, 0)
  t.match(status.report, {
    version: String,
    redis: { state: 'up', address: `127.0.0.1:${redis.port}`, server: { persistence: 'none' } },
    sources: [
      {
        name: 'default',
        lastHour: {
          outcomes: { accepted: 2, duplicate: 1, signature_invalid: 1 },
          keys: { current: 3 },
          signatureFailures: { mismatch: 1 },
          listedFailures: {}
        },
        last: { outcome: 'accepted' }
      }
    ],
    partitions: [{ partition: 0, events: 2 }],
    replicas: [{ version: status.report.version }],
    problems: []
  })
  const { stdout } = await runToEnd(['status'], env)
  t.match(stdout, /^cio-webhook \S+: no problems\n/)
  t.match(stdout, /: (Redis|Valkey) \d+\.\d+\.\d+, persistence none/)
  t.match(stdout, / {2}default +accepted 2/)
  t.match(stdout, 'LOG_LEVEL=warn')
  t.match(stdout, 'signing key of default (current ')
  t.notMatch(stdout, KEY)
})

t.test('Redis is down: the cause and the fix are shown, exit code 1', async t => {
  const port = await freePort()
  const env = { REDIS_URL: `redis://user:hidden-password@127.0.0.1:${port}`, CIO_WEBHOOK_SECRET: KEY }
  const { code, stdout } = await runToEnd(['status'], env)
  t.equal(code, 1)
  t.match(stdout, `cannot reach Redis at 127.0.0.1:${port}: ECONNREFUSED`)
  t.match(stdout, 'Fix: ')
  t.notMatch(stdout, 'hidden-password')
  t.notMatch(stdout, KEY)
})

t.test('after an outage, its 503s are shown with their reason', async t => {
  const port = await freePort()
  let redis = await startRedis({}, { port })
  const env = { REDIS_URL: redis.url, CIO_WEBHOOK_SECRET: KEY }
  const service = await startTestService(env)
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  await redis.stop()
  t.equal((await service.post(newBody())).status, 503)
  redis = await startRedis({}, { port })
  const report = await until('the counts', async () => {
    const found = JSON.parse((await runToEnd(['status', '--json'], env)).stdout)
    return found.deliveries.outcomes.unavailable > 0 && found
  })
  t.same(
    report.problems.map(({ id }: { id: string }) => id),
    ['unavailable']
  )
  t.match(report.problems[0].summary, /redis_down \d/)
})

t.test('an invalid setting or option is reported in one line, exit code 2', async t => {
  const setting = await runToEnd(['status'], { PARTITIONS: 'many' })
  t.match(setting, {
    code: 2,
    stdout: '',
    stderr: /^cio-webhook status: PARTITIONS=many is not allowed[^\n]+\n$/
  })
  const option = await runToEnd(['status', '--verbose'], {})
  t.match(option, { code: 2, stderr: /unknown option --verbose/ })
})

t.test(
  'names in Redis that somebody else wrote cannot move the cursor, and no body reaches Redis',
  async t => {
    const redis = await startRedis()
    const env = { REDIS_URL: redis.url, CIO_WEBHOOK_SECRET: KEY }
    const service = await startTestService(env)
    t.teardown(async () => {
      await service.close()
      await redis.stop()
    })
    const canaries = Array.from({ length: 20 }, () => randomUUID())
    for (const canary of canaries) {
      // Unauthenticated bytes at every place that a sender controls.
      await service.post(`{"event_id":"${canary}"}`, {
        ...signV0('other'),
        'x-cio-timestamp': canary,
        'user-agent': canary
      })
      await service.post(canary, { 'x-cio-signature': canary }, `/api/cio/webhook/${canary}`)
    }
    await redis.client.xgroup('CREATE', 'cio:events:{0}', '\u001b[2Jgroup', '$', 'MKSTREAM')
    const { stdout } = await runToEnd(['status'], env)
    t.notMatch(stdout, '\u001b')
    const dump = JSON.stringify(
      await Promise.all(
        (await redis.client.keys('*{deliveries}*')).map(async key => [
          key,
          (await redis.client.type(key)) === 'hash' ? await redis.client.hgetall(key) : ''
        ])
      )
    )
    const printed = dump + stdout
    t.same(
      canaries.filter(canary => printed.includes(canary)),
      []
    )
  }
)

t.test('a key in a file is shown with its place', async t => {
  const file = join(folder, 'key')
  writeFileSync(file, KEY)
  const env = { REDIS_URL: 'redis://127.0.0.1:1', CIO_WEBHOOK_SECRET_FILE: file }
  const { stdout } = await runToEnd(['status', '--json'], env)
  t.match(JSON.parse(stdout).configuration.secrets[0], {
    name: 'signing key of default',
    place: `the file ${file}`,
    current: /^[0-9a-f]{8}$/
  })
})
