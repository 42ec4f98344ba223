import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { type AttemptSummary, consumerStates } from '../../src/dispatch/consumer-state.ts'
import { consumerStatusReader } from '../../src/dispatch/consumer-status.ts'
import { activeConsumers, mayBlock } from '../../src/dispatch/group-activity.ts'
import { redeliver } from '../../src/group/redeliver.ts'
import { appendEvent } from '../helpers/log.ts'
import { connectedRedis } from '../helpers/redis.ts'

const HOUR_MS = 3_600_000

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
const states = consumerStates(redis.connection, 'cio:', Date.now)

async function statusOf(name: string, now = Date.now) {
  const options = { redis: redis.connection, keyPrefix: 'cio:', consumers: [], now }
  return (await consumerStatusReader(options)()).find(status => status.name === name)
}

const stream = 'cio:events:{0}'
const readGroup = (consumer: string) =>
  redis.client.xreadgroup('GROUP', 'python', consumer, 'COUNT', 10, 'STREAMS', stream, '>')

t.test('a consumer fails as long as its last attempt failed, however long ago that was', async t => {
  await redis.client.xgroup('CREATE', stream, 'crm', '0', 'MKSTREAM')
  await redis.client.zadd('cio:members:crm', Date.now() + 10_000, 'a member')
  const [beforeMs, failedMs] = [Date.now() - 2 * HOUR_MS, Date.now() - HOUR_MS]
  await states.addAttempts('crm', { failures: 0, lastSuccessAtMs: beforeMs })
  t.match(await statusOf('crm'), { state: 'ok', lastSuccessAtMs: beforeMs })
  await states.addAttempts('crm', { failures: 3, lastFailure: { reason: 'status 503', atMs: failedMs } })
  t.match(await statusOf('crm'), {
    state: 'failing',
    failures: 3,
    lastFailure: 'status 503',
    lastFailureAtMs: failedMs
  })
  await states.addAttempts('crm', { failures: 0, lastSuccessAtMs: failedMs + 1 })
  t.match(await statusOf('crm'), { state: 'ok', lastFailure: 'status 503' })
})

t.test(
  'a consumer fails since the first failure in a row, in whatever parts the attempts are reported',
  async t => {
    await redis.client.xgroup('CREATE', stream, 'crm', '0', 'MKSTREAM')
    const fail = (atMs: number) => ({ reason: 'status 503', atMs })
    const sinceAfter = async (attempts: AttemptSummary) => {
      await states.addAttempts('crm', attempts)
      return (await statusOf('crm'))?.failingSinceMs
    }
    t.equal(await sinceAfter({ failures: 2, lastFailure: fail(20), failingSinceMs: 10 }), 10)
    t.equal(await sinceAfter({ failures: 1, lastFailure: fail(30), failingSinceMs: 30 }), 10)
    t.equal(await sinceAfter({ failures: 1, lastFailure: fail(35), lastSuccessAtMs: 40 }), undefined)
    const both = { failures: 2, lastFailure: fail(60), lastSuccessAtMs: 45, failingSinceMs: 50 }
    t.equal(await sinceAfter(both), 50)
    t.equal(await sinceAfter({ ...both, failingSinceMs: 55 }), 55, 'a success in between')
    await states.enable('crm')
    t.equal((await statusOf('crm'))?.failingSinceMs, undefined)
  }
)

t.test('after a 410 the reason is the 410, also if a request in flight fails later', async t => {
  await redis.client.xgroup('CREATE', stream, 'crm', '0', 'MKSTREAM')
  await redis.client.zadd('cio:members:crm', Date.now() + 10_000, 'a member')
  await states.disable('crm', 'answered 410 (Gone)')
  await states.pause('crm')
  await states.addAttempts('crm', { failures: 1, lastFailure: { reason: 'timeout', atMs: Date.now() } })
  t.match(await statusOf('crm'), {
    state: 'disabled',
    disabledReason: 'answered 410 (Gone)',
    lastFailure: 'answered 410 (Gone)'
  })
  await states.enable('crm')
  t.match(await statusOf('crm'), { state: 'paused', lastFailure: undefined, failures: 0 })
})

t.test('a plain group is healthy while its consumers read, also when they find nothing', async t => {
  await appendEvent(redis.client, { id: 'e1' })
  await redis.client.xgroup('CREATE', stream, 'python', '0')
  t.match(await statusOf('python'), { type: 'library', state: 'no_members', lastActiveMs: undefined })
  await readGroup('worker')
  t.match(await statusOf('python'), { type: 'redis', state: 'ok', members: 1, pending: 1 })
  t.ok(Date.now() - ((await statusOf('python'))?.lastActiveMs ?? 0) < 5000)
  await readGroup('worker')
  t.match(await statusOf('python'), { type: 'redis', state: 'ok', members: 1 })
})

t.test('a replay to a plain group is no activity of its readers', async t => {
  const id = await appendEvent(redis.client, { id: 'e1' })
  await redis.client.xgroup('CREATE', stream, 'python', '0')
  await readGroup('worker')
  await redis.client.xack(stream, 'python', id)
  await setTimeout(1500)
  t.same(await redeliver(redis.connection, 'cio:', 'python', 0, [id]), [id])
  const { lastActiveMs = Date.now(), members } = (await statusOf('python')) ?? {}
  t.ok(Date.now() - lastActiveMs >= 1400, `${Date.now() - lastActiveMs} ms ago`)
  t.equal(members, 1, 'and the replay is no member')
})

t.test('a consumer that blocks in XREADGROUP counts as a reader while nothing waits for it', async t => {
  const [second, hour] = [1000, HOUR_MS]
  t.equal(activeConsumers([second, hour, 2 * hour]), 1)
  t.equal(activeConsumers([hour]), 0)
  const cases = [
    { lag: 0, oldestAgeMs: undefined, blocks: true },
    { lag: 0, oldestAgeMs: hour, blocks: true },
    { lag: 1, oldestAgeMs: second, blocks: true },
    { lag: 1, oldestAgeMs: hour, blocks: false },
    { lag: undefined, oldestAgeMs: hour, blocks: false },
    { lag: undefined, oldestAgeMs: undefined, blocks: true }
  ]
  for (const { blocks, ...group } of cases) t.equal(mayBlock(group), blocks, JSON.stringify(group))
})

t.test(
  'while the memory of Redis is full, a consumer can be paused, and one that answered 410 disabled',
  async t => {
    await redis.client.config('SET', 'maxmemory', '1')
    t.teardown(() => redis.client.config('SET', 'maxmemory', '0'))
    await states.pause('crm')
    await states.disable('crm', 'answered 410 (Gone)')
    const { pausedAtMs, disabledReason } = await states.read('crm')
    t.ok(pausedAtMs)
    t.equal(disabledReason, 'answered 410 (Gone)')
    await states.pause('crm')
    t.equal((await states.read('crm')).pausedAtMs, pausedAtMs, 'since the first time')
  }
)

t.test('reading the status again and again leaves nothing on the connection', async t => {
  await redis.client.xgroup('CREATE', stream, 'crm', '0', 'MKSTREAM')
  await statusOf('crm')
  const listeners = () => ['error', 'ready', 'close'].map(event => redis.connection.listenerCount(event))
  const before = listeners()
  for (let reads = 0; reads < 5; reads++) await statusOf('crm')
  t.same(listeners(), before)
})
