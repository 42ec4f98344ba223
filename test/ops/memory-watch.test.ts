import { pino } from 'pino'
import t from 'tap'
import { watchMemory } from '../../src/ops/memory-watch.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { memoryShare } from '../../src/redis/memory.ts'
import { startCluster } from '../helpers/cluster.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

t.test('what is used of maxmemory, by one server or by the fullest of several', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  t.equal(await memoryShare(redis.client), undefined, 'no limit')
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.client.info('memory'))?.[1])
  await redis.client.config('SET', 'maxmemory', used * 2)
  const share = (await memoryShare(redis.client)) ?? 0
  t.ok(share > 0.4 && share < 0.6, `${share} is about a half`)

  const { nodes, stop } = await startCluster()
  t.teardown(stop)
  const cluster = connectRedis({
    kind: 'cluster',
    nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
    login: { username: undefined, password: undefined, tls: false }
  })
  t.teardown(() => cluster.disconnect())
  await nodes[1]?.client.config('SET', 'maxmemory', '1mb')
  await nodes[2]?.client.config('SET', 'maxmemory', '1gb')
  const fullest = await until('the cluster', () => memoryShare(cluster).catch(() => undefined))
  t.ok((fullest ?? 0) > 1, `${fullest} is the second's`)
})

t.test('a Redis that fills up is told of once, and once more after it had room', async t => {
  const shares = [0.5, undefined, 0.81, 0.94, 0.76, 0.95, 0.6, 0.85, 'NOPERM']
  const seen: number[] = []
  const lines: { level: number; usedShare: number }[] = []
  const log = pino({}, { write: line => void lines.push(JSON.parse(line)) })
  const watch = watchMemory({
    share: async () => {
      const next = shares.shift()
      if (typeof next === 'string') throw new Error(next)
      return next
    },
    onShare: share => seen.push(share),
    log,
    intervalMs: 1
  })
  watch.start()
  t.teardown(() => watch.stop())
  await until('the last look', async () => seen.length >= 9)
  watch.stop()
  t.same(seen.slice(0, 9), [0.5, 0, 0.81, 0.94, 0.76, 0.95, 0.6, 0.85, 0])
  t.same(
    lines.map(({ level, usedShare }) => [level, usedShare]),
    [
      [40, 0.81],
      [40, 0.85]
    ]
  )
})
