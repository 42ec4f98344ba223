import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import t from 'tap'
import { connectRedis, disconnectRedis, type RedisClient } from '../../src/redis/connect.ts'
import type { RedisAddress } from '../../src/settings/redis-address.ts'
import { MASTER, NO_LOGIN, startCluster, startSentinels } from '../helpers/cluster.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'

/** Calls back at the moment that its name says. */
type Moment = (redis: RedisClient, then: () => void) => void

const atOnce: Moment = (_, then) => then()

const asItConnects: Moment = (redis, then) => {
  if ((redis as Redis).stream?.connecting) then()
  else setImmediate(asItConnects, redis, then)
}

const asItLearnsItsSlots: Moment = (redis, then) => void redis.once('refresh', then)

const asItLearnsThatItIsReady: Moment = (redis, then) => {
  if (!(redis instanceof Cluster)) throw new Error('not a Cluster')
  const ask = redis.cluster.bind(redis)
  redis.cluster = (...args: unknown[]) => {
    const answered = args.pop() as (...answer: unknown[]) => void
    const endedFirst = (...answer: unknown[]): void => {
      then()
      answered(...answer)
    }
    return Reflect.apply(ask, redis, [...args, endedFirst])
  }
}

/** The refresh that is made every 5 s. */
const asItRefreshesItsSlots: Moment = (redis, then) => {
  if (!(redis instanceof Cluster)) throw new Error('not a Cluster')
  redis.once('ready', () => {
    const refresh = redis.refreshSlotsCache.bind(redis)
    redis.refreshSlotsCache = (...args) => {
      refresh(...args)
      then()
    }
  })
}

const onceReady: Moment = (redis, then) => void redis.once('ready', then)

/** Handles that keep the process alive. */
const kept = (): readonly string[] =>
  process
    .getActiveResourcesInfo()
    .filter(kind => /^(Timeout|TCP|Connect)/.test(kind))
    .toSorted()

const standalone = await startRedis()
const sentinels = await startSentinels()
const cluster = await startCluster()
t.teardown(() => Promise.all([standalone.stop(), sentinels.stop(), cluster.stop()]))

const cases: readonly [RedisAddress, Readonly<Record<string, Moment>>][] = [
  [standalone.address, { atOnce, onceReady }],
  [
    {
      kind: 'sentinel',
      nodes: sentinels.sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
      master: MASTER,
      login: NO_LOGIN
    },
    { atOnce, asItConnects, onceReady }
  ],
  [cluster.address, { atOnce, asItLearnsItsSlots, asItLearnsThatItIsReady, asItRefreshesItsSlots, onceReady }]
]

for (const [address, moments] of cases) {
  for (const [name, at] of Object.entries(moments)) {
    t.test(
      `${address.kind}, closed ${name}: nothing keeps the process alive`,
      { timeout: 60_000 },
      async t => {
        const before = kept()
        const redis = connectRedis(address)
        redis.on('error', () => {})
        await new Promise<void>(resolve =>
          at(redis, () => {
            disconnectRedis(redis)
            resolve()
          })
        )
        // Longer than a reconnect takes, and than ioredis waits for the end of a socket.
        await sleep(2500)
        t.notMatch(redis.status, /^(connect|connecting|ready|reconnecting)$/)
        t.same(kept(), before)
      }
    )
  }
}

t.test('a service closed while Redis is down leaves nothing open', { timeout: 60_000 }, async t => {
  const before = kept()
  const redis = await startRedis()
  const service = await startTestService({
    REDIS_URL: redis.url,
    DURABILITY: 'replicated:1',
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', 'http://127.0.0.1:9/'))
  })
  const { status } = await service.post('{"event_id":"a","object_type":"email","metric":"sent","data":{}}')
  t.equal(status, 503, 'there is no replica to wait for')
  await redis.stop('SIGKILL')
  await sleep(500)
  const startedMs = performance.now()
  await service.close()
  t.ok(performance.now() - startedMs < 2000, 'at once')
  await sleep(2000)
  t.same(kept(), before)
})

for (const [address, moments] of cases) {
  for (const [name, at] of Object.entries(moments)) {
    // BullMQ disconnects a connection that does not reply, and waits for its end before it connects again.
    t.test(`${address.kind}, disconnected ${name}: it ends, and can connect again`, async t => {
      const redis = connectRedis(address, 'blocking')
      t.teardown(() => disconnectRedis(redis))
      redis.on('error', () => {})
      let isFirst = true // Some moments come again.
      await new Promise<void>(resolve => {
        redis.once('end', resolve)
        at(redis, () => {
          if (isFirst) redis.disconnect()
          isFirst = false
        })
      })
      await redis.connect()
      t.equal(await redis.ping(), 'PONG')
    })
  }
}
