import { hash } from 'node:crypto'
import type { Redis } from 'ioredis'
import t from 'tap'
import { UnavailableError } from '../../src/errors.ts'
import { createEventLog, type EventLog, type EventLogOptions } from '../../src/log/append.ts'
import { parseGenerations } from '../../src/log/dedupe-index.ts'
import type { LogEntry } from '../../src/log/log-entry.ts'
import { errorCause } from '../../src/redis/causes.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const connection = connectRedis(redis.address)
t.teardown(() => connection.disconnect())
await until('a connection', async () => connection.status === 'ready')

const entry = (id: string, change: Partial<LogEntry> = {}): LogEntry => ({
  stream: 'events',
  id,
  type: 'io.customer.email.opened',
  digest: hash('sha256', `default\0${id}`, 'base64'),
  partitionKey: 'customer-1',
  event: JSON.stringify({ id }),
  parked: undefined,
  happenedAtMs: undefined,
  messageId: undefined,
  backfilled: false,
  ...change
})

let prefixes = 0
/** Each test has its own log. */
function newLog(change: Partial<EventLogOptions> = {}): { log: EventLog; prefix: string } {
  const prefix = `t${++prefixes}:`
  const log = createEventLog({
    redis: connection,
    keyPrefix: prefix,
    partitions: 1,
    maxLength: 1000,
    durabilityWait: undefined,
    isRedisUp: () => true,
    ...change
  })
  return { log, prefix }
}

const idsIn = async (client: Redis, stream: string): Promise<string[]> =>
  (await client.xrange(stream, '-', '+')).map(([, fields]) => JSON.parse(fields[3] ?? '{}').id)

t.test('an event is appended once, and its entry has the fields type and event', async t => {
  const { log, prefix } = newLog()
  t.equal(await log.append(entry('a')), 'appended')
  t.equal(await log.append(entry('a')), 'duplicate')
  t.equal(await log.append(entry('a', { event: '{"other":"content"}' })), 'duplicate', 'with any content')
  const [[, fields] = []] = await redis.client.xrange(`${prefix}events:{0}`, '-', '+')
  t.same(fields, ['type', 'io.customer.email.opened', 'event', '{"id":"a"}'])
  t.equal(await redis.client.xlen(`${prefix}events:{0}`), 1)
})

t.test('an id that is not known is reported at once, a known one once it is durable', async t => {
  let waits = 0
  const durable = { connection: async () => connection, wait: async () => void waits++ }
  const { log } = newLog({ durabilityWait: () => durable })
  const { digest, partitionKey } = entry('durable')
  t.equal(await log.isKnown(digest, partitionKey), false)
  t.equal(waits, 0)
  await log.append(entry('durable'))
  t.equal(waits, 1)
  t.equal(await log.isKnown(digest, partitionKey), true)
  t.equal(waits, 2, 'its retry is answered with 200')
})

t.test('concurrent appends share a call, in order, each id once', async t => {
  const { log, prefix } = newLog()
  const before = await calls()
  const ids = Array.from({ length: 100 }, (_, index) => `id-${index % 60}`)
  const outcomes = await Promise.all(ids.map(id => log.append(entry(id))))
  t.same(
    outcomes,
    ids.map((_, index) => (index < 60 ? 'appended' : 'duplicate'))
  )
  t.same(await idsIn(redis.client, `${prefix}events:{0}`), ids.slice(0, 60))
  t.ok((await calls()) - before <= 4, 'the first call learns the generations, the next appends')

  async function calls(): Promise<number> {
    const stats = await redis.client.info('commandstats')
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
  }
})

t.test('a lookup keeps nothing, also in the same call as appends', async t => {
  const { log, prefix } = newLog()
  const { digest, partitionKey } = entry('a')
  t.equal(await log.isKnown(digest, partitionKey), false, 'before the first event of all')
  const answers = await Promise.all([
    log.isKnown(digest, partitionKey),
    log.append(entry('a')),
    log.isKnown(digest, partitionKey),
    log.append(entry('b')),
    log.isKnown(entry('c').digest, partitionKey)
  ])
  t.same(answers, [false, 'appended', true, 'appended', false])
  t.equal(await log.append(entry('c')), 'appended', 'a lookup does not remember')
  t.same(await idsIn(redis.client, `${prefix}events:{0}`), ['a', 'b', 'c'])
})

t.test('a lookup works while the stream is full', async t => {
  const { log } = newLog({ maxLength: 1 })
  await log.append(entry('a'))
  t.equal(await log.isKnown(entry('a').digest, 'customer-1'), true)
  t.equal(await log.isKnown(entry('b').digest, 'customer-1'), false)
})

t.test('many writers with their own connections append each id once', async t => {
  const { log: first, prefix } = newLog()
  const others = Array.from({ length: 4 }, () => connectRedis(redis.address))
  t.teardown(() => others.forEach(other => void other.disconnect()))
  await until('the connections', async () => others.every(other => other.status === 'ready'))
  const logs = [
    first,
    ...others.map(redis =>
      createEventLog({
        redis,
        keyPrefix: prefix,
        partitions: 1,
        maxLength: 10_000,
        durabilityWait: undefined,
        isRedisUp: () => true
      })
    )
  ]
  const ids = Array.from({ length: 500 }, (_, index) => `id-${index}`)
  const outcomes = await Promise.all(ids.flatMap(id => logs.map(log => log.append(entry(id)))))
  t.equal(outcomes.filter(outcome => outcome === 'appended').length, ids.length)
  t.same((await idsIn(redis.client, `${prefix}events:{0}`)).sort(), ids.sort())
})

t.test('a script that the server no longer has is sent again', async t => {
  const { log } = newLog()
  await log.append(entry('before'))
  await redis.client.script('FLUSH')
  t.equal(await log.append(entry('after')), 'appended')
  t.equal(await log.append(entry('before')), 'duplicate')
})

t.test('the log starts again after Redis was emptied', async t => {
  const { log } = newLog()
  await log.append(entry('a'))
  await redis.client.flushall()
  t.equal(await log.append(entry('a')), 'appended')
  t.equal(await log.append(entry('a')), 'duplicate')
})

t.test('a full stream appends and remembers nothing, but still answers duplicates', async t => {
  const { log, prefix } = newLog({ maxLength: 2 })
  const outcomes = await Promise.allSettled(['a', 'b', 'c', 'a'].map(id => log.append(entry(id))))
  t.same(
    outcomes.map(outcome => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason.reason)),
    ['appended', 'appended', 'log_full', 'duplicate']
  )
  await redis.client.xtrim(`${prefix}events:{0}`, 'MAXLEN', 0)
  t.equal(await log.append(entry('c')), 'appended', 'a refused id is not remembered')
})

t.test(
  'an id is not remembered where Redis refuses to append its event, so that its retry is accepted',
  async t => {
    const { log, prefix } = newLog()
    await log.append(entry('before'))
    await redis.client.call('ACL', 'SETUSER', 'default', '-xadd')
    t.teardown(() => redis.client.call('ACL', 'SETUSER', 'default', '+xadd'))
    const error: unknown = await log.append(entry('a')).catch(thrown => thrown)
    t.match(error, { reason: 'redis_error' })
    t.match(errorCause(error instanceof Error ? error.cause : undefined), /^NOPERM/, 'for the log line')
    await redis.client.call('ACL', 'SETUSER', 'default', '+xadd')
    t.equal(await log.append(entry('a')), 'appended')
    t.equal(await log.append(entry('a')), 'duplicate')
    t.same(await idsIn(redis.client, `${prefix}events:{0}`), ['before', 'a'])
  }
)

t.test('after trimming, a full stream appends in the same call', async t => {
  const { log, prefix } = newLog({
    maxLength: 2,
    trimForSpace: stream => redis.client.xtrim(stream, 'MAXLEN', 1)
  })
  for (const id of ['a', 'b', 'c']) t.equal(await log.append(entry(id)), 'appended')
  t.same(await idsIn(redis.client, `${prefix}events:{0}`), ['b', 'c'])
})

t.test('parked deliveries have their own stream', async t => {
  const { log, prefix } = newLog()
  await log.append(entry('p', { stream: 'parked' }))
  t.equal(await redis.client.xlen(`${prefix}events:{0}`), 0)
  t.equal(await redis.client.xlen(`${prefix}parked:{0}`), 1)
})

t.test('events of one customer stay in one partition, and all partitions are used', async t => {
  const { log, prefix } = newLog({ partitions: 4 })
  for (let person = 0; person < 40; person++) {
    for (const n of [1, 2]) await log.append(entry(`${person}-${n}`, { partitionKey: `person-${person}` }))
  }
  const partitions = await Promise.all([0, 1, 2, 3].map(n => idsIn(redis.client, `${prefix}events:{${n}}`)))
  t.ok(partitions.every(ids => ids.length > 0))
  for (let person = 0; person < 40; person++) {
    const at = partitions.filter(ids => ids.includes(`${person}-1`) || ids.includes(`${person}-2`))
    t.equal(at.length, 1, `person ${person}`)
  }
})

t.test('when the newest generation is full, a larger one opens, and old ids are still known', async t => {
  const { log, prefix } = newLog({ maxLength: 100_000 })
  const ids = Array.from({ length: 26_000 }, (_, index) => `id-${index}`)
  for (let at = 0; at < ids.length; at += 1000) {
    await Promise.all(ids.slice(at, at + 1000).map(id => log.append(entry(id, { event: '{}' }))))
  }
  const generations = parseGenerations((await redis.client.get(`${prefix}dedupe:{0}:generations`)) ?? '')
  t.same(
    generations.map(({ number, buckets }) => ({ number, buckets })),
    [
      { number: 2, buckets: 1024 },
      { number: 1, buckets: 256 }
    ]
  )
  const outcomes = await Promise.all(ids.filter((_, n) => n % 13 === 0).map(id => log.append(entry(id))))
  t.ok(outcomes.every(outcome => outcome === 'duplicate'))
  const bucket = (await redis.client.keys(`${prefix}dedupe:{0}:1:*`))[0] ?? ''
  t.equal(await redis.client.object('ENCODING', bucket), 'listpack', 'a full bucket is still a flat list')
})

t.test('a log whose Redis does not answer fails at once, with the reason', async t => {
  const { log } = newLog({ isRedisUp: () => false })
  await t.rejects(log.append(entry('a')), new UnavailableError('redis_down'))
})

t.test('an error of Redis is reported by its kind, never by its text', async t => {
  const { log } = newLog()
  await redis.client.config('SET', 'maxmemory', '1mb')
  t.teardown(() => redis.client.config('SET', 'maxmemory', '0'))
  const error = await log.append(entry('a')).then(
    () => undefined,
    (error: unknown) => error
  )
  t.match(error, { name: 'UnavailableError', reason: 'redis_full', message: 'event not kept: redis_full' })
  await redis.client.config('SET', 'maxmemory', '0')
  t.equal(await log.append(entry('a')), 'appended', 'and none of it was done')
})
