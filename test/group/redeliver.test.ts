import t from 'tap'
import { consumeInBatches } from '../../src/group/batch-consumer.ts'
import { redeliver } from '../../src/group/redeliver.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { appendEvent } from '../helpers/log.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

t.test('redelivered entries come once more to their group, in order, and to no other group', async t => {
  const redis = await startRedis()
  const got: Record<'one' | 'two', string[]> = { one: [], two: [] }
  const follow = (group: 'one' | 'two') =>
    consumeInBatches(
      {
        connect: () => connectRedis(redis.address),
        keyPrefix: 'cio:',
        partitions: 1,
        group,
        member: 'm',
        batchSize: 100,
        backoff: { firstMs: 5, maxMs: 20 }
      },
      async entries => {
        got[group].push(...entries.map(({ id }) => id))
      }
    )
  const followers = [follow('one'), follow('two')]
  const service = connectRedis(redis.address)
  t.teardown(async () => {
    for (const follower of followers) await follower.stop()
    service.disconnect()
    await redis.stop()
  })
  await Promise.all(followers.map(follower => follower.start()))
  const ids: string[] = []
  for (let index = 0; index < 6; index++) ids.push(await appendEvent(redis.client, { id: `e${index}` }))
  await until('all', async () => got.one.length === 6 && got.two.length === 6)
  await until('acknowledged', async () => (await redis.client.xpending('cio:events:{0}', 'one'))[0] === 0)

  const [first = '', , third = ''] = ids
  t.same(await redeliver(service, 'cio:', 'one', 0, [first, third]), [first, third])
  await until('once more', async () => got.one.length === 8)
  t.same(got.one.slice(6), [first, third])
  t.same(got.two, ids)
  await until('acknowledged', async () => (await redis.client.xpending('cio:events:{0}', 'one'))[0] === 0)
})

t.test('deleted, undelivered and pending entries are not redelivered, and the group must exist', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const service = connectRedis(redis.address)
  t.teardown(() => service.disconnect())
  await until('ready', async () => service.status === 'ready')
  await t.rejects(redeliver(service, 'cio:', 'missing', 0, ['1-1']), { message: /^NOGROUP/ })

  const ids: string[] = []
  for (let index = 0; index < 4; index++) ids.push(await appendEvent(redis.client, { id: `e${index}` }))
  const [gone = '', acknowledged = '', pending = '', unread = ''] = ids
  const stream = 'cio:events:{0}'
  await redis.client.xgroup('CREATE', stream, 'g', '0')
  await redis.client.xreadgroup('GROUP', 'g', 'm', 'COUNT', 3, 'STREAMS', stream, '>')
  await redis.client.xack(stream, 'g', gone, acknowledged)
  await redis.client.xdel(stream, gone)
  t.same(await redeliver(service, 'cio:', 'g', 0, ids), [acknowledged])
  const left = (await redis.client.xpending(stream, 'g', '-', '+', 10)) as unknown[][]
  t.same(
    left.map(([id]) => id),
    [acknowledged, pending]
  )
  t.not(unread, '')
})
