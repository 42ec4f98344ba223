import { createServer } from 'node:net'
import t from 'tap'
import { runToEnd } from '../../helpers/command.ts'
import { startTestConsole } from '../../helpers/console.ts'
import { deliveryBody } from '../../helpers/consumers.ts'
import { consumersFile, httpConsumer, natsConsumer } from '../../helpers/consumers-file.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { freePort, until } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'

interface Result {
  readonly check: string
  readonly status: string
  readonly detail: string
  readonly fix?: string
}

t.setTimeout(600_000)

const redis = await startRedis({ appendonly: 'yes' })
t.teardown(() => redis.stop())
const env = { REDIS_URL: redis.url, CIO_WEBHOOK_SECRET: KEY, HOST: '127.0.0.1', PORT: '0' }

async function check(
  changes: Record<string, string> = {}
): Promise<{ code: number | null; results: Result[] }> {
  const { code, stdout, stderr } = await runToEnd(['serve', '--check', '--json'], { ...env, ...changes })
  t.equal(stderr, '')
  return { code, results: JSON.parse(stdout) }
}
const of = (results: readonly Result[], name: string) => results.filter(({ check }) => check === name)

t.test('all is well: every line is a pass, nothing stays in Redis, and nothing listens', async t => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.stop())
  const port = String(await freePort())
  const file = consumersFile(httpConsumer('crm', receiver.url))
  const { code, stdout, stderr } = await runToEnd(['serve', '--check'], {
    ...env,
    PORT: port,
    CONSUMERS_FILE: file
  })
  t.equal(code, 0)
  t.equal(stderr, '')
  t.match(stdout, /^(?:pass {2}[^\n]+\n)+$/)
  for (const line of [
    'redis permissions: every command',
    'consumer crm: ',
    `PORT: 127.0.0.1:${port} is free`
  ]) {
    t.match(stdout, line)
  }
  t.notMatch(stdout, KEY)
  t.equal(await redis.client.dbsize(), 0)
  t.equal(receiver.requests.length, 0, 'no event was sent')
})

t.test('a missing permission is named, with the command that grants it', async t => {
  const acl = async (...rules: string[]) =>
    redis.client.acl('SETUSER', 'limited', 'reset', 'on', '>pw', '~cio:*', '+@all', ...rules)
  const limited = { REDIS_URL: redis.url.replace('redis://', 'redis://limited:pw@') }
  await acl('-xclaim', '-xinfo|groups')
  const refused = await check(limited)
  t.equal(refused.code, 1)
  t.match(of(refused.results, 'redis permissions'), [
    {
      status: 'fail',
      detail: /xinfo\|groups, xclaim/,
      fix: /ACL SETUSER <user> \+xinfo\|groups \+xclaim ~cio:\*/
    }
  ])

  await acl('-wait', '-hscan')
  const ofReconcile = await check(limited)
  t.match(of(ofReconcile.results, 'redis permissions'), [{ status: 'fail', detail: 'not permitted: hscan' }])
  const ofDurability = await check({ ...limited, DURABILITY: 'replicated:1' })
  t.match(of(ofDurability.results, 'redis permissions'), [
    { status: 'fail', detail: 'not permitted: wait, hscan' }
  ])

  await acl('-config')
  const optional = await check(limited)
  t.equal(optional.code, 0)
  t.match(of(optional.results, 'redis permissions'), [{ status: 'warn', detail: /config\|get/ }])
  t.equal(await redis.client.dbsize(), 0)

  await redis.client.acl('SETUSER', 'limited', 'reset', 'on', '>pw', '~other:*', '+@all')
  const keys = await check(limited)
  t.match(of(keys.results, 'redis permissions'), [{ status: 'fail', fix: /~cio:\*/ }])
  t.equal(keys.code, 1)
})

t.test(
  'a user with only the permissions that are checked runs the service without being refused',
  async t => {
    const receiver = await startReceiver()
    const connecting = ['+ping', '+info', '+client', '+auth', '+hello', '+select']
    const user = ['SETUSER', 'exact', 'reset', 'on', '>pw', '~cio:*', '-@all', ...connecting]
    await redis.client.acl(...(user as ['SETUSER', string]))
    const exact = { REDIS_URL: redis.url.replace('redis://', 'redis://exact:pw@') }
    const { results } = await check(exact)
    const [permissions] = of(results, 'redis permissions')
    const needed = permissions?.detail.replace('not permitted: ', '').split(', ') ?? []
    t.ok(needed.length > 50, permissions?.detail ?? 'no line')
    await redis.client.acl('SETUSER', 'exact', ...needed.map(command => `+${command}`))
    await redis.client.acl('LOG', 'RESET')

    const { service, client } = await startTestConsole(exact.REDIS_URL, {
      CIO_WEBHOOK_SECRET: KEY,
      CONSUMERS_FILE: consumersFile(
        httpConsumer('crm', receiver.url, { maxAttempts: 2, retryDelayMs: 10, maxRetryDelayMs: 20 })
      ),
      PARTITIONS: '3'
    })
    t.teardown(async () => {
      await service.close()
      await receiver.stop()
      await redis.client.flushall()
    })
    const browser = client()
    for (const action of ['pause', 'resume', 'enable']) await browser.post(`/consumers/crm/${action}`)
    receiver.behave(answers(500))
    for (const id of ['a', 'b', 'c']) t.equal((await service.post(deliveryBody(id))).status, 200)
    await service.post('parked')
    await until('the dead letters', async () => (await redis.client.xlen('cio:dead:crm')) === 3)
    receiver.behave(answers(200))
    await browser.get('/consumers/crm/dead-letters')
    await browser.post('/consumers/crm/dead-letters', { action: 'replay matching', confirmed: 'yes' })
    await browser.post('/parked', { delivery: 'all', action: 'drop', confirmed: 'yes' })
    for (const path of ['/', '/events', '/events?id=a', '/consumers', '/parked', '/sources', '/audit']) {
      t.equal((await browser.get(path)).status, 200, path)
    }
    await until('the dead letters again', async () => (await redis.client.xlen('cio:dead:crm')) === 0)
    t.same(await refusals(), [], 'except what the service works without')
  }
)

/** The commands that Redis refused since the last reset of its log, without the optional ones. */
async function refusals(): Promise<readonly unknown[]> {
  const entries = (await redis.client.acl('LOG')) as unknown[][]
  const refused = entries.map(entry => entry[entry.indexOf('object') + 1])
  return refused.filter(command => !['config|get', 'config', 'memory|usage'].includes(String(command)))
}

t.test('what does not work is a failed line with its cause and its fix', async t => {
  const busy = createServer()
  await new Promise<void>(resolve => busy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => busy.close())
  const address = busy.address()
  const busyPort = typeof address === 'object' && address !== null ? address.port : 0
  const closed = await freePort()
  const { code, results } = await check({
    REDIS_URL: `redis://127.0.0.1:${closed}`,
    PORT: String(busyPort),
    CONSOLE_PORT: String(busyPort),
    CONSUMERS_FILE: consumersFile(
      httpConsumer('crm', `http://127.0.0.1:${closed}/hook?token=hidden`),
      natsConsumer('bi', `nats://127.0.0.1:${closed}`)
    )
  })
  t.equal(code, 1)
  t.match(of(results, 'redis'), [{ status: 'fail', detail: /ECONNREFUSED/, fix: /REDIS_URL/ }])
  t.match(of(results, 'PORT'), [{ status: 'fail', detail: /EADDRINUSE/, fix: /PORT/ }])
  t.match(of(results, 'CONSOLE_PORT'), [{ status: 'fail', detail: /EADDRINUSE/, fix: /CONSOLE_PORT/ }])
  t.match(of(results, 'consumer crm'), [{ status: 'fail', detail: /ECONNREFUSED/, fix: /CONSUMERS_FILE/ }])
  t.match(of(results, 'consumer bi'), [{ status: 'fail', detail: /no NATS server answers/ }])
  t.notMatch(JSON.stringify(results), 'hidden')
})

t.test('in production, weak persistence and missing proxies are warnings', async t => {
  await redis.client.config('SET', 'appendonly', 'no')
  t.teardown(() => redis.client.config('SET', 'appendonly', 'yes'))
  const { code, results } = await check({ NODE_ENV: 'production', CIO_WEBHOK_SECRET: 'x' })
  t.equal(code, 0)
  t.same(
    results.filter(({ status }) => status === 'warn').map(({ check }) => check),
    ['configuration', 'TRUSTED_PROXIES', 'redis persistence']
  )
})

t.test('durability that this Redis cannot give is a failed line', async t => {
  const { code, results } = await check({ DURABILITY: 'replicated:1' })
  t.equal(code, 1)
  t.match(of(results, 'redis replicas'), [{ status: 'fail', detail: /^0 connected/, fix: /replicated/ }])
})

t.test('an invalid setting ends with 2, as does --json alone', async t => {
  const invalid = await runToEnd(['serve', '--check'], { ...env, PORT: 'many' })
  t.match(invalid, { code: 2, stdout: '', stderr: /^cio-webhook serve: PORT=many is not allowed[^\n]+\n$/ })
  const missing = await runToEnd(['serve', '--check'], {
    ...env,
    CIO_WEBHOOK_SECRET: '',
    NODE_ENV: 'production'
  })
  t.match(missing, { code: 2, stderr: /CIO_WEBHOOK_SECRET/ })
  t.match(await runToEnd(['serve', '--json'], env), { code: 2, stderr: /--json needs --check/ })
})
