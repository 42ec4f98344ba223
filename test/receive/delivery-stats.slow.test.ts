import t from 'tap'
import { createDeliveryCounter } from '../../src/receive/delivery-counter.ts'
import { readDeliveryStats, readLastDeliveries } from '../../src/receive/delivery-stats.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { readStatus } from '../../src/tools/status/read-status.ts'
import { missingPermissions } from '../../src/tools/status/redis-permissions.ts'
import { startCluster } from '../helpers/cluster.ts'
import { until } from '../helpers/server.ts'
import { testConfig } from '../helpers/service.ts'
import { testSource } from '../helpers/source.ts'

t.test('on a Cluster: counts are added, and read for the status', async t => {
  const cluster = await startCluster()
  const redis = connectRedis(cluster.address)
  t.teardown(async () => {
    redis.disconnect()
    await cluster.stop()
  })
  await until('a connection', async () => redis.status === 'ready')
  const counter = createDeliveryCounter({
    redis,
    keyPrefix: 'cio:',
    sources: ['default'],
    isRedisUp: () => true,
    now: Date.now
  })
  const delivery = { address: '192.0.2.1', listed: true, addressAllowed: true, barred: false } as const
  for (let n = 0; n < 10; n++) {
    const startedMs = performance.now()
    counter.record(
      { ...delivery, source: testSource(), startedMs, key: 'current' },
      'accepted',
      startedMs + 2
    )
  }
  await counter.stop()
  const range = { fromMs: Date.now() - 3_600_000, toMs: Date.now() }
  t.same((await readDeliveryStats(redis, 'cio:', range)).outcomes, { accepted: 10 })
  t.match((await readLastDeliveries(redis, 'cio:')).get('default'), { outcome: 'accepted' })

  const status = await readStatus({
    config: await testConfig({ REDIS_URL: 'redis://127.0.0.1:1' }),
    configuration: { changed: [], secrets: [] },
    sources: ['default'],
    redisAddress: 'the cluster',
    redis,
    now: Date.now
  })
  t.match(status, { redis: { state: 'up' }, deliveries: { outcomes: { accepted: 10 } }, problems: [] })
  const log = { keyPrefix: 'cio:', durability: { level: 'replicated', replicas: 1 } } as const
  const permissions = await missingPermissions(redis, log, { persistence: 'none' })
  t.same(permissions, { needed: [], optional: [] })
})
