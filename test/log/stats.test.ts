import t from 'tap'
import { groupStats, logStats, removeGroup } from '../../src/log/stats.ts'
import { startRedis } from '../helpers/redis.ts'

const { client, stop } = await startRedis()
t.teardown(() => stop())
t.beforeEach(() => client.flushall())

const stream = (partition: number): string => `cio:events:{${partition}}`
const HOUR_MS = 60 * 60 * 1000

/** Two partitions: the group has read one entry of three in the first, and nothing of the one in the second. */
async function fill(group: string): Promise<string[]> {
  await client.set('cio:partitions', 2)
  const ids = [4, 3, 2].map(hours => `${Date.now() - hours * HOUR_MS}-0`)
  for (const id of ids) await client.xadd(stream(0), id, 'type', 't', 'event', '{}')
  await client.xadd(stream(1), `${Date.now() - HOUR_MS}-0`, 'type', 't', 'event', '{}')
  for (const partition of [0, 1]) await client.xgroup('CREATE', stream(partition), group, '0')
  await client.xreadgroup('GROUP', group, 'm', 'COUNT', 1, 'STREAMS', stream(0), '>')
  return ids
}

t.test('the log’s length and the lag of each group are read for each partition', async t => {
  t.same(await logStats(client, 'cio:', 1), [{ partition: 0, events: 0, groups: [] }], 'without a stream')
  await fill('lag')
  t.same(await logStats(client, 'cio:', 2), [
    { partition: 0, events: 3, groups: [{ name: 'lag', lag: 2 }] },
    { partition: 1, events: 1, groups: [{ name: 'lag', lag: 1 }] }
  ])
})

t.test('a group is added up over all partitions, with its oldest unacknowledged entry', async t => {
  t.same(await groupStats(client, 'cio:'), [])
  const [first = ''] = await fill('crm')
  await client.zadd('cio:members:crm', 1, 'a', 2, 'b')
  await client.xgroup('CREATE', stream(1), 'another', '$')
  const [another, crm, ...more] = await groupStats(client, 'cio:')
  t.match(another, { name: 'another', lag: 0, pending: 0, oldestAgeMs: undefined, members: 0 })
  t.match(crm, { name: 'crm', lag: 3, pending: 1, members: 2 })
  t.same(more, [])
  const isAbout = (ageMs: number | undefined, hours: number): boolean =>
    ageMs !== undefined && Math.abs(ageMs - hours * HOUR_MS) < 60_000
  t.ok(isAbout(crm?.oldestAgeMs, 4), 'the pending entry')

  await client.xack(stream(0), 'crm', first)
  t.ok(isAbout((await groupStats(client, 'cio:'))[1]?.oldestAgeMs, 3), 'the next unread entry')
})

t.test('where Redis does not know the lag, it is undefined or NaN, not 0', async t => {
  const [, second = ''] = await fill('crm')
  await client.xdel(stream(0), second)
  t.equal((await groupStats(client, 'cio:'))[0]?.lag, undefined)
  t.ok(Number.isNaN((await logStats(client, 'cio:', 1))[0]?.groups[0]?.lag))
})

t.test('a removed group is gone from every partition, also where a stream is missing', async t => {
  await fill('crm')
  await client.set('cio:partitions', 3)
  await client.zadd('cio:members:crm', 1, 'a')
  await client.xadd('cio:dead:crm', '*', 'reason', 'failed')
  await removeGroup(client, 'cio:', 'crm')
  t.same(await groupStats(client, 'cio:'), [])
  t.same((await client.keys('cio:*')).sort(), ['cio:dead:crm', stream(0), stream(1), 'cio:partitions'].sort())
})
