import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ActionError } from '../../../src/tools/action-error.ts'
import {
  allParked,
  type BulkActions,
  type BulkResult,
  createBulkActions,
  lettersOf
} from '../../../src/tools/bulk/bulk-actions.ts'
import { connectedRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
const failures: unknown[] = []
const replica = (now: () => number = Date.now): BulkActions =>
  createBulkActions({
    redis: redis.connection,
    keyPrefix: 'cio:',
    now,
    onFailed: (...failure) => failures.push(failure)
  })
const crm = lettersOf('crm')

const about = { action: 'replay', who: 'ada', total: 100 } as const
const result = { replayed: 0, left: [], unknown: [] }

/** Handles one thing per 20 ms until it is interrupted. */
async function endless({
  signal,
  onProgress
}: Parameters<Parameters<BulkActions['start']>[2]>[0]): Promise<BulkResult> {
  for (let done = 0; ; done++) {
    if (signal.aborted) return { ...result, replayed: done }
    onProgress(done)
    await sleep(20)
  }
}

t.test('a short bulk action has ended when its start resolves, and keeps its result for an hour', async t => {
  const bulk = replica()
  const left = Array.from({ length: 30 }, (_, index) => ({
    delivery: `0-${index}`,
    why: 'it is not an event'
  }))
  await bulk.start(crm, about, async () => ({ ...result, replayed: 70, left, unknown: ['1-1'] }))
  const state = await bulk.read(crm)
  t.match(state, { outcome: 'done', handled: 100, leftCount: 30, unknownCount: 1, who: 'ada' })
  t.same(
    state?.left,
    left.slice(0, 20).map(({ delivery, why }) => ({ name: delivery, why }))
  )
  t.equal(await bulk.read(lettersOf('other')), undefined)
  const ttl = await redis.client.pttl('cio:bulk:consumer:crm')
  t.ok(ttl > 3_590_000 && ttl <= 3_600_000, String(ttl))
  t.equal(await redis.client.exists('cio:bulk-lock:consumer:crm'), 0)
})

t.test(
  'a second bulk action on the same subject is refused, also at another replica, which can interrupt the first',
  async t => {
    const [one, other] = [replica(), replica()]
    await one.start(allParked, about, endless)
    await until('progress', async () => ((await other.read(allParked))?.handled ?? 0) > 5)
    t.match(await other.read(allParked), { outcome: 'running', total: 100 })
    const second = () => Promise.reject(new Error('it ran'))
    const busy = { refusal: 'busy', message: /^parked deliveries are being .* already, started by ada:/ }
    await t.rejects(other.start(allParked, about, second), busy)
    await t.rejects(other.run(allParked, about, second), busy)
    await other.start(crm, about, async () => result)
    await other.stop(allParked)
    await until('the end', async () => (await other.read(allParked))?.outcome === 'interrupted')
    await until('its lock is free', async () => (await redis.client.exists('cio:bulk-lock:parked')) === 0)
    t.equal(await other.run(allParked, about, async () => result), result)
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
  await redis.client.set('cio:bulk:parked', JSON.stringify(died))
  t.match(await replica(() => 14_000).read(allParked), { outcome: 'running', handled: 7 })
  t.match(await replica(() => 16_000).read(allParked), { outcome: 'interrupted', handled: 7 })
})

t.test('a bulk action that fails says so, and its error is reported', async t => {
  const bulk = replica()
  const boom = Object.assign(new Error('boom'), { code: 'ECONNRESET' })
  await bulk.start(allParked, about, () => Promise.reject(boom))
  t.match(await bulk.read(allParked), { outcome: 'failed', left: [{ why: 'ECONNRESET' }] })
  t.same(failures, [[boom, allParked, 'replay']])
  t.equal(await redis.client.exists('cio:bulk-lock:parked'), 0)
  await t.rejects(
    bulk.run(allParked, about, () => Promise.reject(boom)),
    boom
  )
})

t.test('one that is refused, for example for an unknown consumer, leaves nothing in Redis', async t => {
  const refused = new ActionError('unknown', 'unknown consumer')
  await t.rejects(
    replica().run(lettersOf('unknown'), about, () => Promise.reject(refused)),
    refused
  )
  t.same(await redis.client.keys('*'), [])
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
    await bulk.start(allParked, about, work)
    const startedMs = (await bulk.read(allParked))?.updatedAtMs ?? 0
    // Just after a beat, so that none is between its two commands.
    await until('a beat', async () => ((await bulk.read(allParked))?.updatedAtMs ?? 0) > startedMs)
    const next = { ...(await bulk.read(allParked)), id: 'next', who: 'bob' }
    await redis.client
      .multi()
      .set('cio:bulk-lock:parked', 'next', 'PX', 15_000)
      .set('cio:bulk:parked', JSON.stringify(next))
      .exec()
    await until('the end of the first', async () => isEnded)
    await bulk.close()
    t.equal(await redis.client.get('cio:bulk-lock:parked'), 'next')
    t.match(await bulk.read(allParked), { id: 'next', who: 'bob' })
  }
)

t.test('while the memory of Redis is full, bulk actions run: dropping dead letters frees it', async t => {
  await redis.client.config('SET', 'maxmemory', '1')
  t.teardown(() => redis.client.config('SET', 'maxmemory', '0'))
  const bulk = replica()
  await bulk.start(allParked, about, async () => ({ ...result, replayed: 100 }))
  t.match(await bulk.read(allParked), { outcome: 'done', handled: 100 })
})

t.test('closing interrupts what is running', async t => {
  const bulk = replica()
  await bulk.start(allParked, about, endless)
  await bulk.close()
  t.match(await bulk.read(allParked), { outcome: 'interrupted' })
})
