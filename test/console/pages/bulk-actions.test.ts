import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type BulkResult, createBulkActions } from '../../../src/console/pages/bulk/bulk-actions.ts'
import { createLogger } from '../../../src/ops/logger.ts'
import { connectedRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { testConfig } from '../../helpers/service.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
const written: string[] = []
const { log } = createLogger('error', { write: line => void written.push(line) })
const config = await testConfig({ REDIS_URL: redis.url })
const replica = (now: () => number = Date.now) =>
  createBulkActions({ redis: redis.connection, config, log, now })

const about = { action: 'replay', who: 'ada', total: 100 } as const
const result: BulkResult = { done: 0, left: [], unknown: [] }

/** Handles one thing per 20 ms until it is interrupted. */
async function endless({
  signal,
  onProgress
}: Parameters<Parameters<ReturnType<typeof createBulkActions>['start']>[2]>[0]): Promise<BulkResult> {
  for (let done = 0; ; done++) {
    if (signal.aborted) return { ...result, done }
    onProgress(done)
    await sleep(20)
  }
}

t.test('a short bulk action has ended when its start resolves, and keeps its result for an hour', async t => {
  const bulk = replica()
  const left = Array.from({ length: 30 }, (_, index) => ({ name: `0-${index}`, why: 'it is not an event' }))
  t.equal(
    await bulk.start('consumer:crm', about, async () => ({ ...result, done: 70, left, unknown: ['1-1'] })),
    true
  )
  const state = await bulk.read('consumer:crm')
  t.match(state, { outcome: 'done', handled: 100, leftCount: 30, unknownCount: 1, who: 'ada' })
  t.same(state?.left, left.slice(0, 20))
  t.equal(await bulk.read('consumer:other'), undefined)
  const ttl = await redis.client.pttl('cio:console:bulk:consumer:crm')
  t.ok(ttl > 3_590_000 && ttl <= 3_600_000, String(ttl))
  t.equal(await redis.client.exists('cio:console:bulk-lock:consumer:crm'), 0)
})

t.test(
  'a second bulk action on the same subject is refused, also at another replica, which can interrupt the first',
  async t => {
    const [one, other] = [replica(), replica()]
    t.equal(await one.start('parked', about, endless), true)
    await until('progress', async () => ((await other.read('parked'))?.handled ?? 0) > 5)
    t.match(await other.read('parked'), { outcome: 'running', total: 100 })
    t.equal(await other.start('parked', about, () => Promise.reject(new Error('it ran'))), false)
    t.equal(await other.start('consumer:crm', about, async () => result), true, 'another subject')
    await other.stop('parked')
    await until('the end', async () => (await other.read('parked'))?.outcome === 'interrupted')
    t.equal(await other.start('parked', about, async () => result), true)
  }
)

t.test('a bulk action whose process died is interrupted after 15 s, and another one can start', async t => {
  const died = {
    id: 'x',
    ...about,
    startedAtMs: 0,
    updatedAtMs: 0,
    handled: 7,
    outcome: 'running',
    left: [],
    leftCount: 0,
    unknownCount: 0
  }
  await redis.client.set('cio:console:bulk:parked', JSON.stringify(died))
  t.match(await replica(() => 14_000).read('parked'), { outcome: 'running', handled: 7 })
  t.match(await replica(() => 16_000).read('parked'), { outcome: 'interrupted', handled: 7 })
})

t.test('a bulk action that fails says so, and its error is in the log without a payload', async t => {
  const bulk = replica()
  await bulk.start('parked', about, async () => {
    throw Object.assign(new Error('boom'), { code: 'ECONNRESET' })
  })
  t.match(await bulk.read('parked'), { outcome: 'failed', left: [{ why: 'ECONNRESET' }] })
  t.match(written.join(''), 'console: a bulk action failed')
  t.equal(await redis.client.exists('cio:console:bulk-lock:parked'), 0)
})

t.test(
  'a bulk action that has lost its lock ends, and leaves lock and state to the one that has it',
  async t => {
    const bulk = replica()
    let isEnded = false
    const work: typeof endless = async options => {
      const ended = await endless(options)
      isEnded = true
      return ended
    }
    await bulk.start('parked', about, work)
    const next = { ...(await bulk.read('parked')), id: 'next', who: 'bob' }
    await redis.client
      .multi()
      .set('cio:console:bulk-lock:parked', 'next', 'PX', 15_000)
      .set('cio:console:bulk:parked', JSON.stringify(next))
      .exec()
    await until('the end of the first', async () => isEnded)
    await bulk.close()
    t.equal(await redis.client.get('cio:console:bulk-lock:parked'), 'next')
    t.match(await bulk.read('parked'), { id: 'next', who: 'bob' })
  }
)

t.test('while the memory of Redis is full, bulk actions run: dropping dead letters frees it', async t => {
  await redis.client.config('SET', 'maxmemory', '1')
  t.teardown(() => redis.client.config('SET', 'maxmemory', '0'))
  const bulk = replica()
  t.equal(await bulk.start('parked', about, async () => ({ ...result, done: 100 })), true)
  t.match(await bulk.read('parked'), { outcome: 'done', handled: 100 })
})

t.test('closing interrupts what is running', async t => {
  const bulk = replica()
  await bulk.start('parked', about, endless)
  await bulk.close()
  t.match(await bulk.read('parked'), { outcome: 'interrupted' })
})
