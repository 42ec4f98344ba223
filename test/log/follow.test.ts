import t, { type Test } from 'tap'
import { type FollowOptions, followLog, type HandleEntries } from '../../src/log/follow.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { appendEvent } from '../helpers/log.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'

let redis: TestRedis
t.before(async () => {
  redis = await startRedis()
})
t.beforeEach(() => redis.client.flushall())
t.teardown(() => redis.stop())

const ids = (entries: readonly { event: string }[]): string[] =>
  entries.map(entry => JSON.parse(entry.event).id)

/** Follows with what is usual in these tests, and stops with the test. */
async function follow(test: Test, handle: HandleEntries, options: Partial<FollowOptions> = {}) {
  const follower = followLog(
    {
      connect: () => connectRedis(redis.address),
      keyPrefix: 'cio:',
      group: GROUP,
      member: 'm1',
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

const append = async (names: readonly string[], partitions = 1): Promise<void> => {
  for (const id of names) await appendEvent(redis.client, { id }, { partitions })
}
const pending = async (): Promise<number> => Number((await redis.client.xpending(STREAM, GROUP))[0])

t.test('a new group reads from the oldest event on, in order, and acknowledges what was handled', async t => {
  await append(['a', 'b', 'c'])
  const seen: string[] = []
  await follow(t, async entries => void seen.push(...ids(entries)))
  await until('the old events', async () => seen.length === 3)
  await append(['d', 'e'])
  await until('the new events', async () => seen.length === 5)
  t.same(seen, ['a', 'b', 'c', 'd', 'e'])
  await until('everything is acknowledged', async () => (await pending()) === 0)
})

t.test('a new group from now on gets only what comes after its start', async t => {
  await append(['a', 'b'])
  const seen: string[] = []
  await follow(t, async entries => void seen.push(...ids(entries)), { from: 'now' })
  await append(['c'])
  await until('the event after the start', async () => seen.length > 0)
  t.same(seen, ['c'])
})
