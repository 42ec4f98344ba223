import type { Redis } from 'ioredis'
import t from 'tap'
import { createConsumer } from '../../src/consume/consumer.ts'
import { connectRedis, duplicateConnection } from '../../src/redis/connect.ts'
import { databaseProblem } from '../../src/redis/database.ts'
import { waitUntilReady } from '../../src/redis/ready.ts'
import { Secret } from '../../src/secret.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())

const open = (url: string, profile: 'fail-fast' | 'blocking' = 'fail-fast'): Redis => {
  const client = connectRedis({ kind: 'standalone', url: new Secret(url) }, profile) as Redis
  client.on('error', () => {})
  return client
}
/** Creates users without SELECT, with a new name for each test. */
async function userWithoutSelect(name: string): Promise<string> {
  await redis.client.acl('SETUSER', name, 'on', '>pw', '~*', '&*', '+@all', '-select')
  return `redis://${name}:pw@127.0.0.1:${redis.port}`
}
const refusalOf = async (starting: Promise<unknown>): Promise<string> =>
  starting.then(
    () => 'started',
    (error: unknown) => `${error instanceof Error ? `${error.name}: ${error.message}` : error}`
  )

t.test('the service does not start on a database that Redis does not have', async t => {
  t.equal(
    await refusalOf(startTestService({ REDIS_URL: `${redis.url}/99` })),
    'ConfigError: REDIS_URL: Redis refuses database 99 (ERR DB index is out of range): it has 16 databases, 0 to 15'
  )
})

t.test('the service does not start as a user who must not select the database', async t => {
  const url = await userWithoutSelect('service')
  t.equal(
    await refusalOf(startTestService({ REDIS_URL: `${url}/3` })),
    'ConfigError: REDIS_URL: Redis does not let this user select database 3 (NOPERM): allow it the command SELECT, or use database 0'
  )
})

t.test('without CONFIG the message has no number of databases', async t => {
  await redis.client.acl('SETUSER', 'plain', 'on', '>pw', '~*', '+@all', '-config')
  t.equal(
    await refusalOf(
      startTestService({ REDIS_URL: `redis://plain:pw@127.0.0.1:${redis.port}/99`, LOG_LEVEL: 'silent' })
    ),
    'ConfigError: REDIS_URL: Redis refuses database 99 (ERR DB index is out of range)'
  )
})

t.test('the service writes to the database of the URL', async t => {
  const service = await startTestService({ REDIS_URL: `${redis.url}/5` })
  t.teardown(() => service.close())
  t.equal((await service.post('{"event_id":"e"}')).status, 200)
  const reader = redis.client.duplicate({ db: 5 })
  t.teardown(() => reader.disconnect())
  t.equal(await reader.xlen('cio:events:{0}'), 1)
  t.equal(await redis.client.xlen('cio:events:{0}'), 0)
})

t.test('a consumer does not start on a database that it must not select', async t => {
  const start = (redisUrl: string) =>
    refusalOf(createConsumer({ redisUrl, group: 'g' }, async () => {}).start())
  t.match(await start(`${redis.url}/99`), 'ConfigError: redisUrl: Redis refuses database 99')
  t.match(await start(`${await userWithoutSelect('reader')}/3`), 'ConfigError: redisUrl: Redis does not let')
  t.throws(() => createConsumer({ redisUrl: `${redis.url}?db=3`, group: 'g' }, async () => {}), {
    name: 'TypeError',
    message: /^redisUrl: query parameters/
  })
  t.equal(await redis.client.exists('cio:events:{0}'), 0, 'no group in database 0')
})

for (const profile of ['fail-fast', 'blocking'] as const) {
  t.test(`SELECT forbidden while connected, ${profile}: nothing is written to database 0`, async t => {
    const name = `later-${profile}`
    const url = await userWithoutSelect(name)
    await redis.client.acl('SETUSER', name, '+select')
    const client = open(`${url}/7`, profile)
    const copies = [client.duplicate({ lazyConnect: false }), duplicateConnection(client) as Redis]
    for (const copy of copies) copy.on('error', () => {})
    const all = [client, ...copies]
    t.teardown(() => {
      for (const one of all) one.disconnect()
    })
    await Promise.all(all.map(one => waitUntilReady(one, 5000)))
    await client.set('before', 'x')

    await redis.client.acl('SETUSER', name, '-select')
    await redis.client.client('KILL', 'USER', name)
    // Written continuously, also at the moment of the reconnect.
    const writes: Promise<unknown>[] = []
    await until('SELECT is refused', async () => {
      writes.push(...all.map(one => one.set(`lost-${profile}`, 'x').catch(() => {})))
      return databaseProblem(client)
    })
    t.match(await databaseProblem(client), /NOPERM/)
    t.same(await redis.client.exists(`lost-${profile}`, 'before'), 0)

    await redis.client.acl('SETUSER', name, '+select')
    await until('it is allowed again', async () => client.status === 'ready')
    await client.set('after', 'x')
    t.equal(await databaseProblem(client), undefined)
    t.equal(await redis.client.exists(`lost-${profile}`, 'before', 'after'), 0)
  })
}
