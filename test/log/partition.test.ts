import t from 'tap'
import {
  partitionOf,
  partitionsOfKeys,
  publishedPartitions,
  publishPartitionCount
} from '../../src/log/partition.ts'
import { startRedis } from '../helpers/redis.ts'

t.test('a key always gets the same partition, and many keys use all partitions evenly', t => {
  t.equal(partitionOf('customer-1', 1), 0)
  t.equal(partitionOf('customer-1', 4), partitionOf('customer-1', 4))
  const counts = [0, 0, 0, 0]
  for (let n = 0; n < 4000; n++)
    counts[partitionOf(`customer-${n}`, 4)] = (counts[partitionOf(`customer-${n}`, 4)] ?? 0) + 1
  t.ok(
    counts.every(count => count > 900 && count < 1100),
    String(counts)
  )
  t.end()
})

t.test('the published number of partitions is 1 at first, and never falls', async t => {
  const { client, stop } = await startRedis()
  t.teardown(() => stop())
  const events = async () => (await publishedPartitions(client, 'cio:')).map(keys => keys.events)
  t.same(await events(), ['cio:events:{0}'])
  await publishPartitionCount(client, 'cio:', 3)
  await publishPartitionCount(client, 'cio:', 2)
  t.same(await events(), ['cio:events:{0}', 'cio:events:{1}', 'cio:events:{2}'])
  await client.set('cio:partitions', 'not a number')
  t.same(await events(), ['cio:events:{0}'])
})

t.test(
  'a key is searched for in a partition per number that was in use, all of them if that is unknown',
  async t => {
    const { client, stop } = await startRedis()
    t.teardown(() => stop())
    t.beforeEach(() => client.flushall())
    const partitions = () => partitionsOfKeys(client, 'cio:', ['ada'])
    const inUse = (...counts: number[]) =>
      [...new Set(counts.map(count => partitionOf('ada', count)))].sort((a, b) => a - b)

    await t.test('a new log', async t => {
      await publishPartitionCount(client, 'cio:', 7)
      t.same(await partitions(), inUse(7))
      await publishPartitionCount(client, 'cio:', 9)
      await publishPartitionCount(client, 'cio:', 9)
      t.same(await partitions(), inUse(7, 9))
    })
    await t.test('several keys: each partition once, in order', async t => {
      await publishPartitionCount(client, 'cio:', 12)
      const keys = Array.from({ length: 200 }, (_, n) => `customer-${n}`)
      t.same(await partitionsOfKeys(client, 'cio:', keys), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    })
    await t.test('a log of an older version with several partitions', async t => {
      await client.set('cio:partitions', 4)
      t.same(await partitions(), inUse(1, 2, 3, 4))
      await publishPartitionCount(client, 'cio:', 5)
      t.same(await partitions(), inUse(1, 2, 3, 4, 5))
    })
    await t.test('a log of an older version with one partition', async t => {
      await client.xadd('cio:events:{0}', '*', 'type', 't')
      await publishPartitionCount(client, 'cio:', 8)
      t.same(await partitions(), inUse(1, 8))
    })
  }
)
