import { Cluster } from 'ioredis'
import t, { type Test } from 'tap'
import {
  type BatchConsumerOptions,
  consumeInBatches,
  type HandleEntries
} from '../../src/group/batch-consumer.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import type { RedisAddress } from '../../src/settings/redis-address.ts'
import { failedOver, NO_LOGIN, startCluster, startSentinels } from '../helpers/cluster.ts'
import { appendEvent } from '../helpers/log.ts'
import { startRedis } from '../helpers/redis.ts'
import { freeze, temporaryFolder, until } from '../helpers/server.ts'

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'

const ids = (entries: readonly { event: string }[]): string[] =>
  entries.map(entry => JSON.parse(entry.event).id)

async function follow(
  test: Test,
  address: RedisAddress,
  handle: HandleEntries,
  options: Partial<BatchConsumerOptions> = {}
) {
  const follower = consumeInBatches(
    {
      connect: () => connectRedis(address),
      keyPrefix: 'cio:',
      group: GROUP,
      member: 'm1',
      batchSize: 100,
      backoff: { firstMs: 5, maxMs: 20 },
      leaseMs: 1000,
      ...options
    },
    handle
  )
  test.teardown(() => follower.stop())
  await follower.start()
  return follower
}

/** Collects the ids of events, in order. */
function collect(): { handle: HandleEntries; seen: string[]; missing(all: readonly string[]): string[] } {
  const seen: string[] = []
  return {
    handle: async entries => void seen.push(...ids(entries)),
    seen,
    missing: all => {
      const known = new Set(seen)
      return all.filter(id => !known.has(id))
    }
  }
}

const names = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`)

t.test('when Redis is emptied, the group is created again and misses nothing', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { handle, seen } = collect()
  const errors: unknown[] = []
  await follow(t, redis.address, handle, { from: 'now', onError: error => errors.push(error) })
  await appendEvent(redis.client, { id: 'before' })
  await until('the event before', async () => seen.length === 1)
  await redis.client.multi().flushall().xadd(STREAM, '*', 'type', 't', 'event', '{"id":"with it"}').exec()
  await appendEvent(redis.client, { id: 'after' })
  await until('the events after', async () => seen.length === 3)
  t.same(seen, ['before', 'with it', 'after'])
  t.same(errors, [])
})

t.test('a group that is destroyed is created again, from the oldest event', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const { handle, missing } = collect()
  await follow(t, redis.address, handle)
  await appendEvent(redis.client, { id: 'a' })
  await until('a', async () => missing(['a']).length === 0)
  await redis.client.xgroup('DESTROY', STREAM, GROUP)
  await appendEvent(redis.client, { id: 'b' })
  await until('b', async () => missing(['b']).length === 0)
})

t.test('when Redis is killed and started again, nothing is lost and nothing handled twice', async t => {
  const folder = temporaryFolder()
  const settings = { appendonly: 'yes', appendfsync: 'always' }
  const redis = await startRedis(settings, { folder })
  const { handle, seen } = collect()
  let killed: Promise<void> | undefined
  await follow(t, redis.address, async (entries, signal) => {
    // Redis is killed while the second batch is handled, so it cannot be acknowledged for longer than a lease.
    if (ids(entries).includes('b0')) {
      killed = redis.stop('SIGKILL')
      await killed
    }
    await handle(entries, signal)
  })
  for (const id of names('a', 10)) await appendEvent(redis.client, { id })
  await until('the first ten', async () => seen.length === 10)
  await appendEvent(redis.client, { id: 'b0' })
  await until('the last before the end', async () => seen.includes('b0'))
  await new Promise(resolve => setTimeout(resolve, 1200)) // longer than the lease
  const again = await startRedis(settings, { folder, port: redis.port })
  t.teardown(() => again.stop())
  for (const id of names('c', 10)) await appendEvent(again.client, { id })
  await until('the last ten', async () => seen.includes('c9'))
  t.same(seen, [...names('a', 10), 'b0', ...names('c', 10)])
  t.ok(killed)
  await until('everything is acknowledged', async () => {
    return Number((await again.client.xpending(STREAM, GROUP))[0]) === 0
  })
})

t.test('when Redis hangs for longer than a lease, only time is lost', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop('SIGKILL'))
  const { handle, seen } = collect()
  await follow(t, redis.address, handle)
  await appendEvent(redis.client, { id: 'a' })
  await until('a', async () => seen.length === 1)
  await freeze(redis)
  const appended = appendEvent(redis.client, { id: 'b' })
  await new Promise(resolve => setTimeout(resolve, 3000)) // past the command timeout
  redis.process.kill('SIGCONT')
  await appended
  await until('b', async () => seen.includes('b'))
  t.same(seen, ['a', 'b'])
})

t.test('a full Redis can be read and acknowledged, so that entries become trimmable', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  for (const id of names('a', 20)) await appendEvent(redis.client, { id })
  await redis.client.xgroup('CREATE', STREAM, GROUP, '0')
  await redis.client.config('SET', 'maxmemory', '1')
  await t.rejects(appendEvent(redis.client, { id: 'refused' }), /OOM/)
  const { handle, seen } = collect()
  await follow(t, redis.address, handle)
  await until('all of them', async () => seen.length === 20)
  await until('everything is acknowledged', async () => {
    return Number((await redis.client.xpending(STREAM, GROUP))[0]) === 0
  })
})

t.test('a Cluster of three masters: eight partitions, two members, nothing lost', async t => {
  const cluster = await startCluster()
  t.teardown(() => cluster.stop())
  const { address } = cluster
  const client = new Cluster([...address.nodes])
  t.teardown(() => client.disconnect())
  const one = collect()
  const two = collect()
  const options = { partitions: 8 }
  await follow(t, address, one.handle, options)
  await follow(t, address, two.handle, { ...options, member: 'm2' })
  const all = names('e', 300)
  await Promise.all(all.map(id => appendEvent(client, { id }, { partitions: 8 })))
  await until('every event', async () => {
    const missing = new Set(one.missing(all))
    return two.missing(all).every(id => !missing.has(id))
  })
  const later = names('f', 100)
  await until('both have partitions', async () => {
    const leases = await Promise.all(Array.from({ length: 8 }, (_, n) => client.get(`cio:lease:{${n}}:crm`)))
    return new Set(leases.map(lease => lease?.split(':')[0])).size === 2 && !leases.includes(null)
  })
  await Promise.all(later.map(id => appendEvent(client, { id }, { partitions: 8 })))
  await until('the later ones', async () => one.seen.length + two.seen.length >= 400)
  t.same([...one.seen, ...two.seen].toSorted(), [...all, ...later].toSorted(), 'each once')
  t.ok(one.seen.some(id => later.includes(id)) && two.seen.some(id => later.includes(id)))
})

t.test('after a failover by Sentinel, the member reads from the new master and misses nothing', async t => {
  const { master, replica, sentinels, stop } = await startSentinels()
  t.teardown(() => stop())
  const address: RedisAddress = {
    kind: 'sentinel',
    nodes: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
    master: 'mymaster',
    login: NO_LOGIN
  }
  const { handle, missing } = collect()
  await follow(t, address, handle)
  const before = names('a', 50)
  for (const id of before) await appendEvent(master.client, { id })
  await until('the events before', async () => missing(before).length === 0)
  await master.client.wait(1, 1000)
  await master.stop('SIGKILL')
  await failedOver(sentinels, replica)
  const after = names('b', 50)
  for (const id of after) await appendEvent(replica.client, { id })
  await until('the events after', async () => missing(after).length === 0, 20_000)
})
