import { hash } from 'node:crypto'
import t from 'tap'
import { UnavailableError } from '../../src/errors.ts'
import { createEventLog } from '../../src/log/append.ts'
import { partitionKeys } from '../../src/log/keys.ts'
import type { LogEntry } from '../../src/log/log-entry.ts'
import {
  createMessageIndex,
  findMetrics,
  forgetFilled,
  keptMessageIndex,
  maintainMessageIndex,
  messageIndexSince
} from '../../src/log/message-index.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { Secret } from '../../src/secret.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const connection = connectRedis(redis.address)
t.teardown(() => connection.disconnect())
await until('a connection', async () => connection.status === 'ready')

const index = createMessageIndex(new Secret('a key'))
const DAY_MS = 86_400_000

interface Metric {
  readonly messageId: string
  readonly name: string
  readonly atSeconds: number
  readonly backfilled: boolean
}

const opened = (messageId: string, change: Partial<Metric> = {}): Metric => ({
  messageId,
  name: 'opened',
  atSeconds: 1000,
  backfilled: false,
  ...change
})

const entry = (id: string, metric: Metric | undefined): LogEntry => ({
  stream: 'events',
  id,
  type: `io.customer.email.${metric?.name ?? 'opened'}`,
  digest: hash('sha256', id, 'base64'),
  partitionKey: 'customer-1',
  event: '{}',
  parked: undefined,
  happenedAtMs: metric && metric.atSeconds * 1000,
  messageId: metric?.messageId,
  backfilled: metric?.backfilled ?? false
})

let prefixes = 0
function newLog({
  messageIndex = index,
  maxLength = 1_000_000
}: {
  messageIndex?: typeof index | undefined
  maxLength?: number
} = {}) {
  const keyPrefix = `t${++prefixes}:`
  const options = {
    redis: connection,
    keyPrefix,
    partitions: 1,
    durabilityWait: undefined,
    isRedisUp: () => true
  }
  return {
    log: createEventLog({ ...options, messageIndex, maxLength }),
    withoutIndex: createEventLog({ ...options, maxLength }),
    keyPrefix,
    keys: partitionKeys(keyPrefix, 0)
  }
}

const find = (keys: ReturnType<typeof partitionKeys>, ...metrics: Metric[]) =>
  findMetrics(
    connection,
    keys,
    metrics.map(({ messageId, name }) => index.digestOf(messageId, name))
  )

t.test('a metric is remembered with its event, and one that was never appended is not found', async t => {
  const { log, keys } = newLog()
  await Promise.all([log.append(entry('a', opened('m1'))), log.append(entry('b', undefined))])
  t.equal(await log.append(entry('c', opened('m1', { atSeconds: 2000 }))), 'appended', 'a second open')
  const asked = [opened('m1'), opened('m1', { name: 'clicked' }), opened('m2')]
  t.same(await find(keys, ...asked), [true, false, false])
})

t.test('without an index nothing is remembered, and the call has no key and no argument for one', async t => {
  const { withoutIndex, keys, keyPrefix } = newLog()
  t.equal(await withoutIndex.append(entry('a', opened('m1'))), 'appended')
  t.same(await find(keys, opened('m1')), [false])
  t.same(await redis.client.keys(`${keyPrefix}messages:*`), [])

  const monitor = await redis.client.monitor()
  const calls: string[][] = []
  monitor.on('monitor', (_time: string, call: string[]) => calls.push(call))
  t.equal(await withoutIndex.append(entry('b', opened('m2'))), 'appended')
  await until('the call', async () => calls.some(([name]) => name === 'evalsha'))
  monitor.disconnect()
  const [, , keyCount, ...rest] = calls.find(([name]) => name === 'evalsha') ?? []
  t.same(rest.slice(0, 3), [keys.generations, keys.events, keys.parked])
  t.equal(keyCount, '4', 'and the hash of the id')
  const mark = `${hash('sha256', 'b', 'base64').slice(0, 12)}2`
  t.same(rest.slice(7), [mark, 'io.customer.email.opened', '{}'])
})

t.test('the metric of an event that does not fit into the log is not remembered', async t => {
  const { log, keys } = newLog({ maxLength: 1 })
  await log.append(entry('a', opened('m1')))
  await t.rejects(log.append(entry('b', opened('m2'))), new UnavailableError('log_full'))
  t.same(await find(keys, opened('m1'), opened('m2')), [true, false])
})

t.test(
  'an event is not backfilled if its metric was appended, also by a delivery in the same call',
  async t => {
    const { log, keys } = newLog()
    const outcomes = await Promise.all([
      log.append(entry('delivery', opened('m1'))),
      log.append(entry('backfill', opened('m1', { backfilled: true }))),
      log.append(entry('other backfill', opened('m2', { backfilled: true })))
    ])
    t.same(outcomes, ['appended', 'duplicate', 'appended'])
    t.equal(await redis.client.xlen(keys.events), 2)
  }
)

t.test(
  'the original of a backfilled event that comes late is a duplicate, once, and later events are not',
  async t => {
    const { log, keys } = newLog()
    t.equal(await log.append(entry('backfill', opened('m1', { backfilled: true }))), 'appended')
    t.equal(await log.append(entry('second', opened('m1', { atSeconds: 1001 }))), 'appended', 'a later open')
    t.equal(await log.append(entry('original', opened('m1'))), 'duplicate')
    t.equal(await log.append(entry('original', opened('m1'))), 'duplicate', 'its retry')
    t.equal(await log.append(entry('same second', opened('m1'))), 'appended', 'another event in that second')
    t.equal(await log.append(entry('again', opened('m1', { backfilled: true }))), 'duplicate')
    t.equal(await redis.client.xlen(keys.events), 3)
  }
)

t.test('an index under another key is removed as a whole, also after an error in between', async t => {
  const { log, keys, keyPrefix } = newLog()
  await maintainMessageIndex(connection, keys, index, DAY_MS)
  await log.append(entry('a', opened('m1')))
  const other = createMessageIndex(new Secret('another key'))
  await redis.client.call('ACL', 'SETUSER', 'default', '-unlink')
  t.teardown(() => redis.client.call('ACL', 'SETUSER', 'default', '+unlink'))
  await t.rejects(maintainMessageIndex(connection, keys, other, DAY_MS), { message: /NOPERM/ })
  await redis.client.call('ACL', 'SETUSER', 'default', '+unlink')
  for (const either of [index, other])
    t.equal(await messageIndexSince(connection, [keys], either), undefined, 'it is incomplete')
  await maintainMessageIndex(connection, keys, other, DAY_MS)
  const left = [`${keyPrefix}messages:{0}:generations`, `${keyPrefix}messages:{0}:key`]
  t.same((await redis.client.keys(`${keyPrefix}messages:*`)).sort(), left)
})

t.test('as long as buckets cannot be removed, one generation opens, not one per run', async t => {
  const { log, keys } = newLog()
  const other = createMessageIndex(new Secret('another key'))
  await maintainMessageIndex(connection, keys, index, DAY_MS)
  await log.append(entry('a', opened('m1')))
  await redis.client.call('ACL', 'SETUSER', 'default', '-unlink')
  t.teardown(() => redis.client.call('ACL', 'SETUSER', 'default', '+unlink'))
  for (let run = 0; run < 5; run++) {
    await t.rejects(maintainMessageIndex(connection, keys, other, DAY_MS), { message: /NOPERM/ })
    await log.append(entry(`b${run}`, opened(`n${run}`)))
  }
  t.match(await redis.client.get(keys.messages.generations), /^2:\S+ 1:\S+$/)
  await redis.client.call('ACL', 'SETUSER', 'default', '+unlink')
  await maintainMessageIndex(connection, keys, other, DAY_MS)
  t.match(await redis.client.get(keys.messages.generations), /^3:\S+$/)
  t.same(await find(keys, opened('n4')), [false], 'appended under the first key')
})

t.test('an appended event is forgotten when its original can no longer come, 8 days after it', async t => {
  const { log, keys } = newLog()
  const dayOf = (n: number) => 20_000 * 86_400 + n
  const fills = Array.from({ length: 1200 }, (_, n) =>
    entry(`f${n}`, opened(`f${n}`, { backfilled: true, atSeconds: dayOf(n % 2 === 0 ? 0 : 10) }))
  )
  // Not all at once: on a busy machine, the last would wait too long, and be refused.
  for (let from = 0; from < fills.length; from += 300) {
    await Promise.all(fills.slice(from, from + 300).map(log.append))
  }
  await forgetFilled(connection, keys, (dayOf(5) + 8 * 86_400) * 1000)
  t.equal(await redis.client.hlen(keys.messages.filled), 600)
  t.equal(await log.append(entry('o1', opened('f1', { atSeconds: dayOf(10) }))), 'duplicate')
})

t.test(
  'the index is complete from its start on, across many generations, and forgets whole generations',
  async t => {
    const { log, keys, keyPrefix } = newLog()
    await maintainMessageIndex(connection, keys, index, DAY_MS)
    const since = (await messageIndexSince(connection, [keys], index)) ?? 0
    t.ok(Math.abs(since - Date.now()) < 5000)
    const metrics = Array.from({ length: 40_000 }, (_, n) => opened(`m${n}`))
    for (let from = 0; from < metrics.length; from += 500) {
      await Promise.all(
        metrics.slice(from, from + 500).map((metric, n) => log.append(entry(`${from + n}`, metric)))
      )
    }
    t.ok(
      (await find(keys, ...metrics)).every(found => found),
      'all are found'
    )
    const absent = metrics.map(({ messageId }) => opened(messageId, { name: 'clicked' }))
    t.notOk(
      (await find(keys, ...absent)).some(found => found),
      'no others'
    )
    t.ok(((await redis.client.get(keys.messages.generations)) ?? '').split(' ').length > 1)

    const bytes = await memoryOf(`${keyPrefix}messages:*`)
    t.ok(bytes / metrics.length <= 25, `${(bytes / metrics.length).toFixed(1)} bytes per metric`)

    await maintainMessageIndex(connection, keys, index, 1)
    await maintainMessageIndex(connection, keys, index, 1)
    t.same(await find(keys, opened('m1')), [false], 'after its window')
    t.ok(((await messageIndexSince(connection, [keys], index)) ?? 0) > since)
  }
)

t.test(
  'an index that another key or nobody wrote to starts again, with what is appended meanwhile',
  async t => {
    const { log, withoutIndex, keys, keyPrefix } = newLog()
    await log.append(entry('a', opened('m1')))
    t.equal(await messageIndexSince(connection, [keys], index), undefined, 'not by maintenance')
    await maintainMessageIndex(connection, keys, index, DAY_MS)
    t.same(await find(keys, opened('m1')), [false])
    await log.append(entry('b', opened('m2')))
    t.same(await find(keys, opened('m2')), [true])
    t.equal((await keptMessageIndex(connection, keyPrefix, undefined))?.keyId, 'none')

    await maintainMessageIndex(connection, keys, createMessageIndex(undefined), DAY_MS)
    t.equal(await messageIndexSince(connection, [keys], index), undefined, 'a new key')
    await maintainMessageIndex(connection, keys, undefined, DAY_MS)
    await withoutIndex.append(entry('c', opened('m3')))
    t.equal(await keptMessageIndex(connection, keyPrefix, undefined), undefined)
    t.equal(await redis.client.exists(keys.messages.keyId), 0)
  }
)

t.test('the id of a message is not in Redis except in its event', async t => {
  const { log, keyPrefix } = newLog()
  await log.append(entry('a', opened('RPILAgUBcRhIBqSfeiIwdIYJKxTY')))
  for (const key of await redis.client.keys(`${keyPrefix}messages:*`)) {
    const dump = (await redis.client.dumpBuffer(key))?.toString('latin1') ?? ''
    t.notOk(dump.includes('RPILAgUB'), key)
  }
  t.not(createMessageIndex(undefined).digestOf('m', 'opened'), index.digestOf('m', 'opened'), 'under the key')
})

async function memoryOf(pattern: string): Promise<number> {
  const pipeline = redis.client.pipeline()
  for (const key of await redis.client.keys(pattern)) pipeline.memory('USAGE', key)
  return ((await pipeline.exec()) ?? []).reduce((sum, [, bytes]) => sum + Number(bytes), 0)
}
