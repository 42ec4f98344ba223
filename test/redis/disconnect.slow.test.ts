import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster } from 'ioredis'
import t from 'tap'
import { connectRedis, disconnectRedis } from '../../src/redis/connect.ts'
import { startCluster } from '../helpers/cluster.ts'

const { nodes, stop } = await startCluster()
t.teardown(stop)

/** Calls back at the very moment it is named after. */
const moments: Readonly<Record<string, (redis: Cluster, then: () => void) => void>> = {
  'before it knows a node': (_, then) => then(),
  'as it learns its slots': (redis, then) => redis.once('refresh', then),
  'as it learns that it is ready': (redis, then) => {
    const ask = redis.cluster.bind(redis)
    redis.cluster = (...args: unknown[]) => {
      const answered = args.pop() as (...answer: unknown[]) => void
      const endedFirst = (...answer: unknown[]): void => {
        then()
        answered(...answer)
      }
      return Reflect.apply(ask, redis, [...args, endedFirst])
    }
  },
  'when it is ready': (redis, then) => redis.once('ready', then)
}

/** What would keep the process. */
const timers = (): number => process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length

for (const [moment, at] of Object.entries(moments)) {
  t.test(`a Cluster's connection that is ended ${moment} stays ended`, { timeout: 30_000 }, async t => {
    const before = timers()
    const redis = connectRedis({
      kind: 'cluster',
      nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      login: { username: undefined, password: undefined, tls: false }
    })
    if (!(redis instanceof Cluster)) throw new Error('not a Cluster')
    redis.on('error', () => {})
    await new Promise<void>(resolve =>
      at(redis, () => {
        disconnectRedis(redis)
        resolve()
      })
    )
    // Longer than coming back takes.
    await sleep(1000)
    t.match(redis.status, /^(disconnecting|close|end)$/)
    t.equal(redis.nodes().length, 0)
    t.equal(timers(), before)
  })
}
