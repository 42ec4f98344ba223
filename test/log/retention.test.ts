import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { UnavailableError } from '../../src/errors.ts'
import { createEventLog } from '../../src/log/append.ts'
import type { LogEntry } from '../../src/log/log-entry.ts'
import { createRetention, type RetentionOptions } from '../../src/log/retention.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const { client, connection } = await connectedRedis(t)

let prefixes = 0
function newLog(change: Partial<RetentionOptions> = {}) {
  const keyPrefix = `t${++prefixes}:`
  const options = {
    redis: connection,
    keyPrefix,
    partitions: 1,
    windowMs: 60_000,
    retentionMs: 60_000,
    maxLength: 1000,
    messageIndex: undefined,
    messageWindowMs: 0,
    limits: { enforce: async () => {} },
    onTrimmed: () => {},
    onError: (error: unknown) => t.fail(String(error)),
    ...change
  }
  const retention = createRetention(options)
  const log = createEventLog({
    ...options,
    durabilityWait: undefined,
    trimForSpace: stream => retention.trimForSpace(stream),
    isRedisUp: () => true
  })
  return { retention, log, stream: `${keyPrefix}events:{0}`, dedupe: `${keyPrefix}dedupe:{0}:` }
}

const entry = (id: string): LogEntry => ({
  stream: 'events',
  id,
  type: 'io.customer.email.opened',
  digest: hash('sha256', id, 'base64'),
  partitionKey: '',
  event: '{}',
  parked: undefined,
  happenedAtMs: undefined,
  messageId: undefined,
  backfilled: false
})

/** Appends entries with ids of these ages. */
async function addAged(stream: string, agesMs: readonly number[]): Promise<string[]> {
  const ids = agesMs.map((age, n) => `${Date.now() - age}-${n}`)
  for (const id of ids) await client.xadd(stream, id, 'type', 't', 'event', '{}')
  return ids
}
const idsIn = async (stream: string) => (await client.xrange(stream, '-', '+')).map(([id]) => id)

t.test('without a group, entries beyond their age are removed, and younger ones stay', async t => {
  const { retention, stream } = newLog()
  const ids = await addAged(stream, [90_000, 61_000, 59_000, 10])
  await retention.run()
  t.same(await idsIn(stream), ids.slice(2))
})

t.test('a partition that fails keeps neither the others from being trimmed nor the limits', async t => {
  let enforced = 0
  const enforce = async (): Promise<void> => void enforced++
  const { retention, stream } = newLog({ partitions: 2, limits: { enforce } })
  const other = stream.replace('{0}', '{1}')
  await client.set(stream, 'not a stream')
  const [, young = ''] = await addAged(other, [90_000, 0])
  await t.rejects(retention.run(), { message: /WRONGTYPE/ })
  t.same(await idsIn(other), [young])
  t.equal(enforced, 1)
})

t.test('entries that a consumer group has not acknowledged stay, however old', async t => {
  const { retention, stream } = newLog()
  const ids = await addAged(stream, [99_000, 98_000, 97_000, 96_000, 95_000])
  await client.xgroup('CREATE', stream, 'fast', '0')
  await client.xgroup('CREATE', stream, 'slow', '0')
  await client.xreadgroup('GROUP', 'fast', 'm', 'COUNT', 5, 'STREAMS', stream, '>')
  await client.xack(stream, 'fast', ...ids)
  await retention.run()
  t.same(await idsIn(stream), ids, 'slow has read nothing')

  await client.xreadgroup('GROUP', 'slow', 'm', 'COUNT', 3, 'STREAMS', stream, '>')
  await retention.run()
  t.same(await idsIn(stream), ids, 'slow has acknowledged nothing')

  await client.xack(stream, 'slow', ids[0] ?? '', ids[2] ?? '')
  await retention.run()
  t.same(await idsIn(stream), ids.slice(1), 'the second is still pending')

  await client.xack(stream, 'slow', ids[1] ?? '')
  await retention.run()
  t.same(await idsIn(stream), ids.slice(3), 'the rest was never delivered to slow')

  await client.xgroup('DESTROY', stream, 'slow')
  await retention.run()
  t.same(await idsIn(stream), [], 'after slow was removed')
})

t.test('old entries are removed while memory is full, and deliveries are accepted again', async t => {
  const { retention, log, stream } = newLog()
  await addAged(stream, [90_000, 80_000, 10])
  await client.config('SET', 'maxmemory', '1mb')
  t.teardown(() => client.config('SET', 'maxmemory', '0'))
  await t.rejects(log.append(entry('a')), new UnavailableError('redis_full'), 'memory is full')
  await retention.run()
  t.equal(await client.xlen(stream), 1)
  await client.config('SET', 'maxmemory', '0')
  t.equal(await log.append(entry('a')), 'appended')
})

t.test('a full stream is trimmed by entries that all groups have acknowledged', async t => {
  const { log, stream } = newLog({ maxLength: 5 })
  await log.append(entry('first'))
  await client.xgroup('CREATE', stream, 'g', '0')
  for (const id of ['2', '3', '4', '5']) await log.append(entry(id))
  await t.rejects(log.append(entry('6')), new UnavailableError('log_full'), 'nothing is acknowledged')
  t.equal(await client.xlen(stream), 5, 'and nothing is trimmed')

  await client.xreadgroup('GROUP', 'g', 'm', 'COUNT', 2, 'STREAMS', stream, '>')
  await t.rejects(log.append(entry('6')), new UnavailableError('log_full'), 'read, but not acknowledged')
  const [first = ''] = await idsIn(stream)
  await client.xack(stream, 'g', first)
  t.equal(await log.append(entry('6')), 'appended')
  t.equal(await client.xlen(stream), 5)
})

t.test('a full stream without a group drops its oldest entries', async t => {
  const { log, stream } = newLog({ maxLength: 3 })
  for (const id of ['1', '2', '3', '4', '5']) t.equal(await log.append(entry(id)), 'appended')
  t.equal(await client.xlen(stream), 3)
})

t.test('a long backlog is trimmed in bounded steps', async t => {
  const { retention, stream } = newLog({ maxLength: 100_000 })
  const pipeline = client.pipeline()
  for (let n = 0; n < 25_000; n++)
    pipeline.xadd(stream, `${Date.now() - 90_000}-${n}`, 'type', 't', 'event', '{}')
  await pipeline.exec()
  await addAged(stream, [10])
  await retention.run()
  t.equal(await client.xlen(stream), 1)
})

t.test('an id is remembered for the window, and its keys are removed afterwards', async t => {
  const { log, retention, dedupe } = newLog({ windowMs: 800 })
  retention.start()
  t.teardown(() => retention.stop())
  const started = Date.now()
  t.equal(await log.append(entry('a')), 'appended')
  while (Date.now() - started < 750) {
    const outcome = await log.append(entry('a'))
    // On a busy machine, the window can have ended meanwhile.
    if (Date.now() - started < 800) t.equal(outcome, 'duplicate', 'within the window')
    await sleep(50)
  }
  await until('forgetting', async () => {
    const buckets = await client.keys(`${dedupe}[0-9]*`)
    return buckets.length === 0
  })
  t.ok(Date.now() - started < 10_000, 'soon after the window has passed')
  t.equal(await log.append(entry('a')), 'appended', 'as new')
})

t.test('two processes that expire generations at once remove no living one', async t => {
  const windowMs = 400
  const { log, retention, dedupe } = newLog({ windowMs })
  const keyPrefix = dedupe.replace('dedupe:{0}:', '')
  const other = createRetention({
    redis: connection,
    keyPrefix,
    partitions: 1,
    windowMs,
    retentionMs: 60_000,
    maxLength: 1000,
    messageIndex: undefined,
    messageWindowMs: 0,
    limits: { enforce: async () => {} },
    onTrimmed: () => {},
    onError: error => t.fail(String(error))
  })
  const sent = new Map<string, number>()
  for (let n = 0; n < 60; n++) {
    const id = `id-${n}`
    t.equal(await log.append(entry(id)), 'appended')
    sent.set(id, Date.now())
    await Promise.all([retention.run(), other.run()])
    for (const [known, at] of sent) {
      if (Date.now() - at < windowMs - 50) {
        const outcome = await log.append(entry(known))
        if (Date.now() - at < windowMs) t.equal(outcome, 'duplicate')
      }
    }
    await sleep(10)
  }
})
