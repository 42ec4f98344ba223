import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { formatGenerations } from '../../../src/log/dedupe-index.ts'
import { partitionKeys } from '../../../src/log/keys.ts'
import { runToEnd } from '../../helpers/command.ts'
import { startCustomerIo } from '../../helpers/customer-io.ts'
import { fakeMessage, serveMessages } from '../../helpers/fake-messages.ts'
import { startRedis } from '../../helpers/redis.ts'
import { KEY } from '../../helpers/sign.ts'

t.setTimeout(600_000)

const redis = await startRedis()
t.teardown(() => redis.stop())
const fake = await startCustomerIo(t)
fake.appKeys.add('app-key-of-the-test')
const withoutKey = { REDIS_URL: redis.url, CIO_APP_URL: fake.appUrl, CIO_WEBHOOK_SECRET: KEY }
const env = { ...withoutKey, CIO_APP_API_KEY: 'app-key-of-the-test' }
const run = (...args: string[]) => runToEnd(['reconcile', ...args], env)

const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))
const nowSeconds = Math.floor(Date.now() / 1000)
const DAY = 86_400
const messages = Array.from({ length: 2500 }, (_, n) => fakeMessage(`M${n}`, nowSeconds - 7200 - n))
serveMessages(fake, messages)

async function startIndex(): Promise<void> {
  const { messages: keys } = partitionKeys('cio:', 0)
  await redis.client.set(keys.keyId, 'none')
  const openedAtMs = (nowSeconds - 2 * DAY) * 1000
  await redis.client.set(keys.generations, formatGenerations([{ number: 1, buckets: 256, openedAtMs }]))
  const last = { at: Date.now(), outcome: 'accepted', ageSeconds: 1 }
  await redis.client.hset('cio:{deliveries}:last', 'default', JSON.stringify(last))
}

t.test('before it can work, it says what is missing, exit 2', async t => {
  t.match(await runToEnd(['reconcile'], withoutKey), {
    code: 2,
    stderr: 'CIO_APP_API_KEY is missing: create an App API key'
  })
  t.match(await run(), {
    code: 2,
    stderr: 'there is no message index yet: the service opens it within a minute after its start'
  })
  await startIndex()
  t.match(await run('--resume'), { code: 2, stderr: 'no comparison was interrupted' })
  t.match(await run('--resume', '--fill'), { code: 2, stderr: '--resume continues with the options' })
  t.match(await run('--source', 'other'), { code: 2, stderr: 'CIO_SOURCES_FILE has no source of this name' })
  t.match(await run('--from', '400d'), { code: 2, stderr: 'the last six months only' })
  t.match(await run('--from', '1d', '--to', '2d'), { code: 2, stderr: '--from must be before --to' })
  t.match(await run('--rate', '0'), { code: 2, stderr: '--rate 0: give a whole number' })
})

t.test('a revoked key and a wrong region are named, without the key, exit 2', async t => {
  fake.appKeys.clear()
  const { code, stdout, stderr } = await run()
  fake.appKeys.add('app-key-of-the-test')
  t.equal(code, 2)
  t.equal(stdout, '')
  t.match(stderr, /refused CIO_APP_API_KEY \(status 401\).*revoked.*CIO_REGION is us; is it eu\?/)
  t.notMatch(stderr, 'app-key-of-the-test')
})

t.test(
  'missing events are reported, exit 1, at two requests per second and without personal data',
  async t => {
    const before = fake.requestTimesMs.length
    const { code, stdout, stderr } = await run()
    t.equal(code, 1)
    t.equal(stderr, '')
    t.match(stdout, /^2,500 messages, 5,000 events checked: 0 found, 5,000 missing\n/)
    t.match(stdout, /object type {2}checked {2}missing\nemail +5000 +5000\n/)
    t.match(stdout, /campaign 23 +5000 +5000\n/)
    t.match(stdout, /hour \(UTC\)/)
    t.match(stdout, /Not checked:\n {2}events before 20.*\n {2}customer\.\* events, drafts/)
    t.match(stdout, /\nNext: .*connect status.*reconcile --fill\.\n$/)
    t.notMatch(stdout, /example\.com|Ada|customer-of/)
    const times = fake.requestTimesMs.slice(before)
    t.equal(times.length, 4, 'the webhooks and three pages')
    const took = (times.at(-1) ?? 0) - (times[1] ?? 0)
    t.ok(
      took > 2 * 500 - 200,
      `half a second apart, after the first, which waits for its connection: ${took} ms`
    )
  }
)

t.test(
  'SIGTERM while Customer.io does not answer ends the command at once, and --resume continues, exit 2',
  async t => {
    const list = fake.routes.get('GET /v1/messages')
    if (list === undefined) throw new Error('the fake has no list of messages')
    let slowPages = 0
    fake.routes.set('GET /v1/messages', request => {
      if (!request.url.searchParams.has('start')) return list(request)
      slowPages++
      return { ...list(request), delayMs: 60_000 }
    })
    const child = spawn(process.execPath, [MAIN, 'reconcile'], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe']
    })
    const stderr = text(child.stderr)
    while (slowPages === 0) await sleep(20)
    const askedMs = performance.now()
    child.kill('SIGTERM')
    t.same(await once(child, 'exit'), [2, null])
    const tookMs = performance.now() - askedMs
    // A request has ten seconds.
    t.ok(tookMs < 5000, `${tookMs.toFixed(0)} ms`)
    t.match(await stderr, /to continue where it was, run cio-webhook reconcile --resume\n$/)

    fake.routes.set('GET /v1/messages', list)
    const before = fake.requests.length
    const { code, stdout } = await run('--resume', '--json')
    t.equal(code, 1)
    t.match(JSON.parse(stdout), { isFinished: true, messages: 2500 })
    t.equal(fake.requests.length - before, 3, 'the webhooks and two of three pages')
  }
)

t.test('a comparison that was killed goes on where it was; filled events are found then, exit 0', async t => {
  const child = spawn(process.execPath, [MAIN, 'reconcile', '--fill', '--rate', '1000'], {
    env: { ...process.env, ...env },
    stdio: 'ignore'
  })
  while ((await redis.client.xlen('cio:events:{0}')) < 1000) await sleep(50)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const requests = fake.requests.length
  const { code, stdout } = await run('--resume', '--json', '--rate', '10000')
  t.equal(code, 0, 'after the lock of the killed process has expired')
  t.match(JSON.parse(stdout), { isFinished: true, stillMissing: 0, messages: 2500, missing: 5000 })
  t.equal(fake.requests.length, requests + 1, 'only the webhooks are listed again')
  t.equal(await redis.client.xlen('cio:events:{0}'), 5000)

  const again = await run('--fill')
  t.equal(again.code, 0)
  t.match(again.stdout, /^2,500 messages, 5,000 events checked: 5,000 found, 0 missing\n/)
  t.notMatch(again.stdout, 'Next:')
  t.equal(await redis.client.xlen('cio:events:{0}'), 5000)
})
