import t from 'tap'
import { usageKeys } from '../../src/receive/key-usage-reporter.ts'
import { Secret } from '../../src/secret.ts'
import { readReplicaKeys } from '../../src/tools/rotate/replica-keys.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const sightings = () => readReplicaKeys(redis.client, 'cio:', 'default')
const { id } = new Secret(KEY)

t.test('a replica reports its keys before its first delivery, and removes itself when it stops', async t => {
  const services = await Promise.all([1, 2].map(() => startTestService({ REDIS_URL: redis.url })))
  const { replicas } = await sightings()
  t.same(
    replicas.map(({ keys }) => keys),
    [[id], [id]],
    'at once, not at the next interval'
  )
  await Promise.all(services.map(service => service.close()))
  t.same((await sightings()).replicas, [])
})

t.test('Redis has the time of the last delivery per key, and nothing of the key but its id', async t => {
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  for (const event of ['a', 'b', 'c']) await service.post(`{"event_id":"${event}"}`)
  const seen = await until('the report', async () => (await sightings()).keys.get(id))
  const { nowMs } = await sightings()
  t.ok(nowMs - seen.lastSeenMs < 10_000)
  await until('all are counted', async () => (await sightings()).keys.get(id)?.count === 3)
  const held = await Promise.all(Object.values(usageKeys('cio:')).map(key => redis.client.hgetall(key)))
  t.notMatch(JSON.stringify(held), KEY)
})

t.test('a process that starts removes the reports of processes that were killed a day ago', async t => {
  const { replicas } = usageKeys('cio:')
  const reportOf = (hoursAgo: number): string =>
    JSON.stringify({ at: Date.now() - hoursAgo * 3_600_000, sources: { default: [id] } })
  await redis.client.hset(replicas, { killed: reportOf(25), busy: reportOf(1) })
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  await until('the removal', async () => !(await redis.client.hexists(replicas, 'killed')))
  t.equal(await redis.client.hexists(replicas, 'busy'), 1)
})
