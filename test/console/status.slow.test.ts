import t from 'tap'
import { createStatusReader } from '../../src/console/status.ts'
import type { Configuration } from '../../src/settings/describe.ts'
import { bestTime } from '../helpers/best-time.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { freeze } from '../helpers/server.ts'
import { testConfig } from '../helpers/service.ts'

const redis = await connectedRedis(t)
const config = await testConfig({ REDIS_URL: redis.url })

const options = {
  config,
  redis: redis.connection,
  redisAddress: redis.address,
  redisReport: { problem: () => undefined },
  isRedisUp: () => true,
  now: Date.now
}

t.test('two readings at once, and those of the next seconds, are one', async t => {
  const read = createStatusReader(options)
  const [first, second] = await Promise.all([read(), read()])
  t.equal(first, second)
  t.equal(await read(), first)
  t.match(first, { outage: undefined, redis: { state: 'up' } })
})

t.test('the cause of an outage is the one of the connection of this process', async t => {
  const failure = { address: 'redis:6379', cause: 'ECONNREFUSED (nothing listens there)' }
  const status = await createStatusReader({
    ...options,
    isRedisUp: () => false,
    redisReport: { problem: () => ({ summary: 'Redis is down', failure }) }
  })()
  t.match(status.outage, /^Redis at .*: ECONNREFUSED \(nothing listens there\)$/)
  t.match(status.problems, [{ id: 'redis_down', severity: 'error' }])
})

t.test('a Redis that answers but refuses events is an outage, and the first problem', async t => {
  const failure = { address: 'redis:6379', cause: 'READONLY (a replica)' }
  const status = await createStatusReader({
    ...options,
    redisReport: { problem: () => ({ summary: 'Redis refuses to keep events', failure }) }
  })()
  t.equal(status.outage, 'Redis refuses to keep events (redis:6379: READONLY (a replica))')
  t.match(status.problems[0], { id: 'redis_refuses', severity: 'error' })
})

t.test('a store of secrets that hangs delays the status by a second, and its keys are not known', async t => {
  const describe = () => new Promise<Configuration>(() => {})
  const read = createStatusReader({ ...options, config: { ...config, describe } })
  const tookMs = await bestTime(2000, async () =>
    t.match(await read(), { outage: undefined, sources: [{ currentKey: undefined }] })
  )
  t.ok(tookMs < 2000, `${tookMs} ms`)
})

t.test('a value in Redis that cannot be read is left out', async t => {
  await redis.client.set('cio:addresses', '{')
  t.match(await createStatusReader(options)(), { redis: { state: 'up' }, outage: undefined })
  await redis.client.del('cio:addresses')
})

t.test('a Redis that hangs costs at most 2.5 s', async t => {
  await freeze(redis)
  const tookMs = await bestTime(3500, async () =>
    t.match(await createStatusReader(options)(), { outage: /^Redis at /, redis: { state: 'down' } })
  )
  t.ok(tookMs < 3500, `${tookMs} ms`)
  redis.process.kill('SIGCONT')
})
