import { hash } from 'node:crypto'
import t from 'tap'
import { createEventLog } from '../../src/log/append.ts'
import type { LogEntry } from '../../src/log/log-entry.ts'
import { createStreamLimits, type Dropped, type StreamLimitsOptions } from '../../src/log/stream-limits.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { startCluster } from '../helpers/cluster.ts'
import { fill, usedMemory } from '../helpers/memory.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const { client, connection } = await connectedRedis(t)

t.beforeEach(async () => {
  await client.config('SET', 'maxmemory', '0')
  await client.flushall()
})

const PARKED = 'cio:parked:{0}'
const DAY_MS = 24 * 60 * 60 * 1000
const WIDE = { maxAgeMs: 30 * DAY_MS, maxBytes: 2 ** 30 }

function newLimits(change: Partial<StreamLimitsOptions> = {}) {
  const dropped: Dropped[] = []
  const limits = createStreamLimits({
    redis: connection,
    keyPrefix: 'cio:',
    partitions: 1,
    parked: WIDE,
    deadLetters: WIDE,
    onDropped: each => dropped.push(each),
    onError: error => t.fail(String(error)),
    ...change
  })
  return { ...limits, dropped }
}

async function addAged(stream: string, agesMs: readonly number[], bytes = 2): Promise<string[]> {
  const ids = agesMs.map((age, n) => `${Date.now() - age}-${n}`)
  for (const id of ids) await client.xadd(stream, id, 'type', 't', 'event', 'x'.repeat(bytes))
  return ids
}
const idsIn = async (stream: string) => (await client.xrange(stream, '-', '+')).map(([id]) => id)

t.test(
  'parked deliveries beyond their age are dropped, and so are dead letters, each by its own limit',
  async t => {
    const { enforce, dropped } = newLimits({
      parked: { ...WIDE, maxAgeMs: 2 * DAY_MS },
      deadLetters: { ...WIDE, maxAgeMs: 4 * DAY_MS }
    })
    const ages = [5, 3, 1].map(days => days * DAY_MS)
    const parked = await addAged(PARKED, ages)
    // One consumer has its group, the other was removed and left only dead letters.
    await client.xgroup('CREATE', 'cio:events:{0}', 'crm', '0', 'MKSTREAM')
    const crm = await addAged('cio:dead:crm', ages)
    const removed = await addAged('cio:dead:removed', ages)
    await enforce()
    t.same(await idsIn(PARKED), parked.slice(2))
    t.same(await idsIn('cio:dead:crm'), crm.slice(1))
    t.same(await idsIn('cio:dead:removed'), removed.slice(1))
    t.same(
      dropped.map(each => [each.what, each.consumer, each.reason, each.entries]),
      [
        ['parked deliveries', undefined, 'age', 2],
        ['dead letters', 'crm', 'age', 1],
        ['dead letters', 'removed', 'age', 1]
      ]
    )
  }
)

t.test(
  'beyond the size the oldest are dropped, no more than needed; the newest stays, however large',
  async t => {
    const { enforce, dropped } = newLimits({ parked: { ...WIDE, maxBytes: 120_000 } })
    const ids = await addAged(PARKED, [50, 40, 30, 20, 10], 30_000)
    await enforce()
    t.same(await idsIn(PARKED), ids.slice(2))
    t.match(dropped, [{ what: 'parked deliveries', reason: 'size', entries: 2 }])
    const [large = ''] = await addAged(PARKED, [0], 300_000)
    await enforce()
    t.same(await idsIn(PARKED), [large])
  }
)

t.test('a long backlog of small entries is dropped in bounded steps', async t => {
  const { enforce, dropped } = newLimits({ parked: { ...WIDE, maxBytes: 1_000_000 } })
  await fill(client, PARKED, 10_000, 200)
  await enforce()
  const bytes = Number(await client.memory('USAGE', PARKED, 'SAMPLES', 0))
  t.ok(bytes > 900_000 && bytes <= 1_000_000, `${bytes} bytes are left`)
  t.ok(dropped.length > 5 && dropped.every(({ entries }) => entries <= 1000))
})

t.test('several partitions share the limits of parked deliveries', async t => {
  const { enforce } = newLimits({ partitions: 4, parked: { ...WIDE, maxBytes: 480_000 } })
  await client.set('cio:partitions', 4)
  for (let partition = 0; partition < 4; partition++)
    await fill(client, `cio:parked:{${partition}}`, 10, 30_000)
  await enforce()
  for (let partition = 0; partition < 4; partition++) {
    const bytes = Number(await client.memory('USAGE', `cio:parked:{${partition}}`, 'SAMPLES', 0))
    t.ok(bytes > 60_000 && bytes <= 120_000, `${bytes} bytes in partition ${partition}`)
  }
})

t.test('a stream that fails keeps no other from its limits', async t => {
  const limits = { ...WIDE, maxAgeMs: 2 * DAY_MS }
  const { enforce } = newLimits({ partitions: 2, parked: limits, deadLetters: limits })
  await client.set('cio:partitions', 2)
  for (const key of [PARKED, 'cio:events:{0}', 'cio:dead:broken']) await client.set(key, 'not a stream')
  for (const group of ['broken', 'crm'])
    await client.xgroup('CREATE', 'cio:events:{1}', group, '0', 'MKSTREAM')
  const streams = ['cio:parked:{1}', 'cio:dead:crm', 'cio:dead:removed']
  for (const stream of streams) await addAged(stream, [3 * DAY_MS, DAY_MS])
  await t.rejects(enforce(), { message: /WRONGTYPE/ })
  for (const stream of streams) t.equal((await idsIn(stream)).length, 1, stream)
})

const parkedEntry = (id: string, bytes: number): LogEntry => ({
  stream: 'parked',
  id,
  type: 'io.customer.parked',
  digest: hash('sha256', id, 'base64'),
  partitionKey: '',
  event: 'x'.repeat(bytes),
  parked: 'not_json',
  happenedAtMs: undefined,
  messageId: undefined,
  backfilled: false
})

t.test(
  'a flood of large parked deliveries does not fill a small Redis: a tenth of maxmemory is theirs',
  async t => {
    const limits = newLimits()
    const log = createEventLog({
      redis: connection,
      keyPrefix: 'cio:',
      partitions: 1,
      maxLength: 1_000_000,
      durabilityWait: undefined,
      onParked: limits.enforceParked,
      isRedisUp: () => true
    })
    await client.config('SET', 'maxmemory', '64mb')
    let most = 0
    for (let n = 0; n < 60; n++) {
      t.equal(await log.append(parkedEntry(`large-${n}`, 4_000_000)), 'appended')
      most = Math.max(most, await usedMemory(client))
    }
    t.ok(most < 32_000_000, `at most ${most} bytes were in use`)
    await limits.enforce()
    t.equal(await client.xlen(PARKED), 1, 'the newest')
    t.equal(
      limits.dropped.reduce((sum, { entries }) => sum + entries, 0),
      59,
      'each that was dropped is counted'
    )
  }
)

t.test('dead letters are found on every master of a Cluster', async t => {
  const { address, stop } = await startCluster()
  t.teardown(stop)
  const cluster = connectRedis(address)
  t.teardown(() => cluster.disconnect())
  await until('the cluster', async () => cluster.set('cio:partitions', 1).catch(() => false))
  const names = Array.from({ length: 12 }, (_, n) => `consumer-${n}`)
  for (const name of names) await cluster.xadd(`cio:dead:${name}`, '1-1', 'reason', 'failed')
  const { enforce, dropped } = newLimits({ redis: cluster })
  await enforce()
  t.same(dropped.map(({ consumer }) => consumer).sort(), names.sort())
})
