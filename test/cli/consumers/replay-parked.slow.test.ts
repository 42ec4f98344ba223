import t, { type Test } from 'tap'
import { readableParkedEntry } from '../../helpers/parked.ts'
import { runCommand } from '../../helpers/process.ts'
import { startRedis, type TestRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'

const EVENTS = 'cio:events:{0}'
const PARKED = 'cio:parked:{0}'

/** Parks a delivery that can be parsed, as a version with other rules would have. */
async function park(redis: TestRedis): Promise<void> {
  const body = '{"event_id":"parked","object_type":"email","metric":"opened"}'
  await redis.client.xadd(PARKED, '*', ...readableParkedEntry(body))
}

async function replay(redis: TestRedis, settings: Readonly<Record<string, string>>) {
  const env = { REDIS_URL: redis.url, CIO_WEBHOOK_SECRET: KEY, ...settings }
  const command = runCommand(['consumers', 'replay-parked', '--all', '--json'], env)
  const code = await command.ended
  return { code, result: JSON.parse(command.output()) }
}

async function start(t: Test, settings: Readonly<Record<string, string>> = {}): Promise<TestRedis> {
  const redis = await startRedis(settings)
  t.teardown(() => redis.stop())
  return redis
}

t.test('a parked delivery is not replayed into a log that has its maximum length', async t => {
  const redis = await start(t)
  await park(redis)
  await redis.client.xadd(EVENTS, '*', 'type', 't', 'event', '{}')
  const full = await replay(redis, { EVENT_MAX_LENGTH: '1' })
  t.match(full, { code: 1, result: { replayed: 0, left: [{ why: String }], unknown: [] } })
  t.same([await redis.client.xlen(EVENTS), await redis.client.xlen(PARKED)], [1, 1])

  t.match(await replay(redis, { EVENT_MAX_LENGTH: '2' }), { code: 0, result: { replayed: 1, left: [] } })
  t.same([await redis.client.xlen(EVENTS), await redis.client.xlen(PARKED)], [2, 0])
})

t.test('a replayed delivery stays parked until the event is as durable as configured', async t => {
  const redis = await start(t)
  await park(redis)
  const alone = await replay(redis, { DURABILITY: 'replicated:1' })
  t.match(alone, { code: 1, result: { replayed: 0, left: [{ why: String }], unknown: [] } })
  t.equal(await redis.client.xlen(PARKED), 1)

  const replica = await start(t, { replicaof: `127.0.0.1 ${redis.port}` })
  await until('the replica', async () =>
    (await replica.client.info('replication')).includes('link_status:up')
  )
  t.match(await replay(redis, { DURABILITY: 'replicated:1' }), { code: 0, result: { replayed: 1, left: [] } })
  t.same([await redis.client.xlen(EVENTS), await redis.client.xlen(PARKED)], [1, 0], 'once')
})
