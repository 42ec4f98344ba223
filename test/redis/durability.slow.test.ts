import t from 'tap'
import { ConfigError } from '../../src/errors.ts'
import { serverHasWaitAof, startRedis } from '../helpers/redis.ts'
import { freePort, freeze, until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

const BODY = '{"event_id":"durable","object_type":"email","metric":"sent"}'
/** Large enough for its id to be looked up first. */
const LARGE = JSON.stringify({ event_id: 'durable-large', pad: 'x'.repeat(100_000) })

t.test('with DURABILITY=fsync the start fails with a Redis that does not force writes to disk', async t => {
  const redis = await startRedis({ appendonly: 'yes', appendfsync: 'no' })
  t.teardown(() => redis.stop())
  await t.rejects(startTestService({ REDIS_URL: redis.url, DURABILITY: 'fsync' }), ConfigError)
})

t.test('with appendfsync everysec, fsync needs a server that has WAITAOF, and waits for it', async t => {
  const redis = await startRedis({ appendonly: 'yes', appendfsync: 'everysec' })
  t.teardown(() => redis.stop())
  const starting = startTestService({ REDIS_URL: redis.url, DURABILITY: 'fsync' })
  if (!serverHasWaitAof()) {
    await t.rejects(starting, ConfigError)
    return
  }
  const service = await starting
  t.teardown(() => service.close())
  t.equal((await service.post(BODY)).status, 200)
  t.match(await redis.client.info('commandstats'), /cmdstat_waitaof:calls=1,/)
  await redis.client.config('SET', 'appendfsync', 'no')
  t.equal((await service.post(LARGE)).status, 503, 'nothing is forced to disk')
  await redis.client.config('SET', 'appendfsync', 'everysec')
  t.same((await service.post(LARGE)).body, { status: 'duplicate', id: 'durable-large' })
})

t.test('the persistence of this Redis is shown, with a warning in production if it is weak', async t => {
  const redis = await startRedis({ appendonly: 'no' })
  t.teardown(() => redis.stop())
  const production = { NODE_ENV: 'production', SHUTDOWN_DELAY_SECONDS: '0', CIO_ALLOWED_IPS: '127.0.0.1' }
  const service = await startTestService({ REDIS_URL: redis.url, ...production })
  t.teardown(() => service.close())
  t.ok(service.logLines().some(line => line['level'] === 'warn' && /append-only/.test(String(line['msg']))))
  const health = (await (await fetch(`${service.url}/healthz`)).json()) as Record<string, unknown>
  t.match(health, { durability: { level: 'server', redis: 'none' } })
})

t.test(
  'replicated:1 answers 200 only once a replica has the event, and its retry is a duplicate',
  async t => {
    const master = await startRedis({ 'repl-diskless-sync-delay': '0', 'repl-ping-replica-period': '1' })
    t.teardown(() => master.stop())
    const service = await startTestService({ REDIS_URL: master.url, DURABILITY: 'replicated:1' })
    t.teardown(() => service.close())

    const started = performance.now()
    const alone = await service.post(BODY)
    t.equal(alone.status, 503, 'without a replica')
    t.ok(performance.now() - started < 3500)
    t.ok(service.logLines().some(line => line['reason'] === 'durability_not_reached'))
    for (const time of ['first', 'again']) t.equal((await service.post(LARGE)).status, 503, `large, ${time}`)

    const replica = await startRedis({ replicaof: `127.0.0.1 ${master.port}` }, { port: await freePort() })
    t.teardown(() => replica.stop())
    await until('the replica', async () =>
      /master_link_status:up/.test(await replica.client.info('replication'))
    )
    const retry = await service.post(BODY)
    t.same([retry.status, retry.body], [200, { status: 'duplicate', id: 'durable' }])
    const large = await service.post(LARGE)
    t.same([large.status, large.body], [200, { status: 'duplicate', id: 'durable-large' }])
    t.equal(await replica.client.xlen('cio:events:{0}'), 2, 'the replica has them')

    await freeze(replica)
    t.teardown(() => replica.process.kill('SIGCONT'))
    t.equal((await service.post(BODY)).status, 503, 'a duplicate is durable or it is nothing')
    t.equal((await service.post(LARGE)).status, 503, 'a large one too')
    replica.process.kill('SIGCONT')
    await until('the replica again', async () => (await service.post(BODY)).status === 200)
  }
)

t.test('too few replicas are warned about, make /healthz degraded, and their return is logged', async t => {
  const master = await startRedis({ 'repl-diskless-sync-delay': '0' })
  t.teardown(() => master.stop('SIGKILL'))
  const service = await startTestService({ REDIS_URL: master.url, DURABILITY: 'replicated:1' })
  t.teardown(() => service.close())
  const problem =
    'DURABILITY=replicated:1 needs more replicas than Redis has connected (0): deliveries get 503'
  const health = async () => (await fetch(`${service.url}/healthz`)).json()
  const logged = (msg: string) => async () => service.logLines().some(line => line['msg'] === msg)
  await until(
    'the warning',
    logged(`${problem}; connect more replicas, or lower n in DURABILITY=replicated:n`)
  )
  t.match(await health(), { status: 'degraded', redis: 'up', reason: problem })

  const replica = await startRedis({ replicaof: `127.0.0.1 ${master.port}` })
  t.teardown(() => replica.stop('SIGKILL'))
  await until('the replica', logged('Redis has enough replicas again'))
  t.match(await health(), { status: 'ok', redis: 'up' })
})

t.test(
  'if CONFIG is not permitted, production is warned that persistence is unknown, not that events are lost',
  async t => {
    const redis = await startRedis()
    t.teardown(() => redis.stop('SIGKILL'))
    await redis.client.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-config')
    const service = await startTestService({
      NODE_ENV: 'production',
      REDIS_URL: `redis://app:secret@127.0.0.1:${redis.port}`
    })
    t.teardown(() => service.close())
    t.match(
      service.logText(),
      /it is unknown what this Redis keeps, because CONFIG is not permitted: allow it with ACL SETUSER <user> \+config\|get/
    )
    t.notMatch(service.logText(), /can be lost/)
  }
)
