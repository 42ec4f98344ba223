import { hash } from 'node:crypto'
import t, { type Test } from 'tap'
import { UnavailableError } from '../../src/errors.ts'
import { createEventLog } from '../../src/log/append.ts'
import type { LogEntry } from '../../src/log/log-entry.ts'
import { createMemoryRelief } from '../../src/log/memory-relief.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { startCluster } from '../helpers/cluster.ts'
import { consume, fill, idsIn, setUsedRatio, usedRatio } from '../helpers/memory.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const { client, connection } = await connectedRedis(t)

const ENTRIES = 8000
const BYTES = 2000

const STREAM = 'cio:events:{0}'

t.beforeEach(async () => {
  await client.config('SET', 'maxmemory', '0')
  await client.flushall()
})

function newRelief(partitions = 1) {
  const counted = { trimmed: 0 }
  const relief = createMemoryRelief({
    redis: connection,
    keyPrefix: 'cio:',
    partitions,
    onTrimmed: entries => {
      counted.trimmed += entries
    }
  })
  return { ...relief, counted }
}

/** Events that a group has read and acknowledged. */
async function readLog(stream = STREAM, entries = ENTRIES): Promise<string[]> {
  await client.xgroup('CREATE', stream, 'reader', '0', 'MKSTREAM')
  const ids = await fill(client, stream, entries, BYTES)
  await consume(client, stream, 'reader', entries)
  return ids
}

/** 70 %, plus what Redis has allocated by the time of the reading. */
const RELIEVED = 0.705

const within = (t: Test, value: number, from: number, to: number, what: string) =>
  t.ok(value >= from && value <= to, `${what}: ${value} is between ${from} and ${to}`)

t.test('above 80 % of maxmemory acknowledged entries are removed, oldest first, down to 70 %', async t => {
  const { relieve, counted } = newRelief()
  const ids = await readLog()
  await setUsedRatio(client, 0.81)
  t.equal(await relieve(), true)
  within(t, await usedRatio(client), 0.68, RELIEVED, 'usage')
  const left = await idsIn(client, STREAM)
  t.same(left, ids.slice(-left.length), 'the newest are left')
  t.equal(counted.trimmed, ids.length - left.length)
})

t.test('below 80 %, and without maxmemory, nothing is removed', async t => {
  const { relieve } = newRelief()
  await readLog()
  t.equal(await relieve(), true)
  await setUsedRatio(client, 0.78)
  t.equal(await relieve(), true)
  t.equal(await client.xlen(STREAM), ENTRIES)
})

t.test('few more events than needed are removed, also when small and large ones are mixed', async t => {
  const { relieve } = newRelief()
  await client.xgroup('CREATE', STREAM, 'reader', '0', 'MKSTREAM')
  for (let round = 0; round < 60; round++) {
    await fill(client, STREAM, 100, 500)
    await fill(client, STREAM, 1, 300_000)
  }
  await consume(client, STREAM, 'reader', 60 * 101)
  await setUsedRatio(client, 0.9)
  await relieve()
  within(t, await usedRatio(client), 0.66, RELIEVED, 'usage')
})

t.test('without a consumer group nothing is removed, however full Redis is', async t => {
  const { relieve } = newRelief()
  await fill(client, STREAM, ENTRIES, BYTES)
  await setUsedRatio(client, 1)
  t.equal(await relieve(), true)
  t.equal(await client.xlen(STREAM), ENTRIES)
})

t.test('a group that never reads keeps every entry; when it is removed, they can be trimmed', async t => {
  const { relieve } = newRelief()
  await readLog()
  await client.xgroup('CREATE', STREAM, 'stopped', '0')
  await setUsedRatio(client, 0.95)
  t.equal(await relieve(), true)
  t.equal(await client.xlen(STREAM), ENTRIES)
  await client.xgroup('DESTROY', STREAM, 'stopped')
  await relieve()
  within(t, await usedRatio(client), 0.68, RELIEVED, 'usage')
})

t.test('entries behind one that is never acknowledged are removed, and the lag stays known', async t => {
  const { relieve, counted } = newRelief()
  await client.xgroup('CREATE', STREAM, 'reader', '0', 'MKSTREAM')
  await client.xgroup('CREATE', STREAM, 'other', '0')
  const ids = await fill(client, STREAM, ENTRIES, BYTES)
  const stuck = [ids[0] ?? '', ids[700] ?? '', ids[701] ?? '']
  await consume(client, STREAM, 'reader', ENTRIES, stuck)
  await consume(client, STREAM, 'other', ENTRIES - 3000, [ids[1500] ?? ''])
  await setUsedRatio(client, 0.85)
  await until('relief', relieve)
  within(t, await usedRatio(client), 0.65, RELIEVED, 'usage')
  const left = new Set(await idsIn(client, STREAM))
  const needed = [...stuck, ids[1500] ?? '', ...ids.slice(-3000)]
  t.same(
    needed.filter(id => !left.has(id)),
    [],
    'nothing unacknowledged is gone'
  )
  t.equal(counted.trimmed, ENTRIES - left.size)
  const groups = (await client.xinfo('GROUPS', STREAM)) as unknown[][]
  t.same(
    groups.map(group => [group[1], group[group.indexOf('lag') + 1]]),
    [
      ['other', 3000],
      ['reader', 0]
    ]
  )
})

t.test('many pending entries cost little time when nothing can be removed', async t => {
  const { relieve } = newRelief()
  await client.xgroup('CREATE', STREAM, 'slow', '0', 'MKSTREAM')
  await fill(client, STREAM, ENTRIES, BYTES)
  await client.xreadgroup('GROUP', 'slow', 'm', 'COUNT', ENTRIES / 2, 'STREAMS', STREAM, '>')
  await setUsedRatio(client, 0.95)
  await client.config('RESETSTAT')
  t.equal(await relieve(), true)
  t.equal(await client.xlen(STREAM), ENTRIES)
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0)
  t.ok(calls <= 3, `${calls} calls: one look, one to trim, one for the gaps`)
})

t.test('the oldest entries of all partitions are removed first', async t => {
  const { relieve } = newRelief(2)
  for (const number of [0, 1]) {
    await client.xgroup('CREATE', `cio:events:{${number}}`, 'reader', '0', 'MKSTREAM')
  }
  const ids: string[] = []
  for (let round = 0; round < 16; round++) {
    const stream = `cio:events:{${round % 2}}`
    ids.push(...(await fill(client, stream, ENTRIES / 16, BYTES)).map(id => `${id} ${stream}`))
    await consume(client, stream, 'reader', ENTRIES / 16)
  }
  await setUsedRatio(client, 0.9)
  await until('relief', relieve)
  within(t, await usedRatio(client), 0.66, RELIEVED, 'usage')
  const left = (await Promise.all([0, 1].map(number => idsIn(client, `cio:events:{${number}}`)))).map(
    ([first]) => Number(first?.split('-')[0])
  )
  const [a = 0, b = 0] = left
  // The rounds take turns with the partitions, and take longer on a busy machine.
  const times = ids.map(id => Number(id.split('-')[0]))
  const roundMs = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 16
  t.ok(Math.abs(a - b) < Math.max(200, 3 * roundMs), `both begin at about the same time: ${a}, ${b}`)
})

t.test('each master of a Cluster is relieved by its own memory', async t => {
  const { nodes, address, stop } = await startCluster()
  t.teardown(stop)
  const cluster = connectRedis(address)
  t.teardown(() => cluster.disconnect())
  await until('the cluster', async () => cluster.set('cio:partitions', 4).catch(() => false))
  const streams = [0, 1, 2, 3].map(number => `cio:events:{${number}}`)
  for (const stream of streams) {
    await cluster.xgroup('CREATE', stream, 'reader', '0', 'MKSTREAM')
    await fill(cluster, stream, 2000, BYTES)
    await consume(cluster, stream, 'reader', 2000)
  }
  const holders = await Promise.all(
    nodes.map(async ({ client }) => (await client.keys('cio:events:*')).sort())
  )
  const full = holders.findIndex(keys => keys.length > 0)
  for (const [index, { client }] of nodes.entries()) await setUsedRatio(client, index === full ? 0.9 : 0.7)
  const relief = createMemoryRelief({ redis: cluster, keyPrefix: 'cio:', partitions: 1, onTrimmed: () => {} })
  await until('relief', relief.relieve)
  for (const [index, stream] of streams.entries()) {
    const isOnFull = holders[full]?.includes(stream) === true
    const length = await cluster.xlen(stream)
    t.equal(length < 2000, isOnFull, `partition ${index}: ${length} left`)
  }
})

const entry = (id: string, bytes: number): LogEntry => ({
  stream: 'events',
  id,
  type: 'io.customer.email.opened',
  digest: hash('sha256', id, 'base64'),
  partitionKey: '',
  event: 'x'.repeat(bytes),
  parked: undefined,
  happenedAtMs: undefined,
  messageId: undefined,
  backfilled: false
})

function newLog(relief: ReturnType<typeof newRelief>) {
  return createEventLog({
    redis: connection,
    keyPrefix: 'cio:',
    partitions: 1,
    maxLength: 1_000_000,
    durabilityWait: undefined,
    memory: relief,
    isRedisUp: () => true
  })
}

t.test('an append that a full Redis refuses is repeated when there is memory', async t => {
  const relief = newRelief()
  const log = newLog(relief)
  await log.append(entry('first', 10))
  await readLog()
  await setUsedRatio(client, 1.05)
  await t.rejects(client.set('key', 'value'), /OOM/, 'Redis takes nothing')
  const outcomes = await Promise.all([1, 2, 3].map(n => log.append(entry(`id-${n}`, BYTES))))
  t.same(outcomes, ['appended', 'appended', 'appended'])
  t.ok(relief.counted.trimmed > 0)
})

t.test('a partition that never had an event has no room either while Redis is full', async t => {
  const { makeRoom, isFull } = newRelief()
  await client.set('other data', 'x'.repeat(1_000_000))
  await setUsedRatio(client, 1.01)
  t.equal(await makeRoom(STREAM), false)
  t.equal(isFull(STREAM), true)
  await setUsedRatio(client, 0.9)
  t.equal(await makeRoom(STREAM), true)
})

t.test('if every entry is unread, an append fails, at the cost of one call', async t => {
  const relief = newRelief()
  const log = newLog(relief)
  await log.append(entry('first', 10))
  await client.xgroup('CREATE', STREAM, 'stopped', '0')
  await client.xgroup('CREATE', STREAM, 'reader', '0')
  await fill(client, STREAM, ENTRIES, BYTES)
  await consume(client, STREAM, 'reader', ENTRIES + 1)
  await setUsedRatio(client, 1.05)
  await client.config('RESETSTAT')
  const startedMs = performance.now()
  let refused = 0
  for (; performance.now() - startedMs < 250; refused++) {
    await t.rejects(log.append(entry(`id-${refused}`, 10)), new UnavailableError('redis_full'))
  }
  t.equal(await client.xlen(STREAM), ENTRIES + 1, 'nothing is removed')
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await client.info('commandstats'))?.[1] ?? 0)
  const reliefs = Math.ceil((performance.now() - startedMs) / 100) + 1
  t.ok(calls <= refused + 5 * reliefs, `${calls} calls for ${refused} refusals`)
  await setUsedRatio(client, 0.98)
  t.equal(await client.set('what a consumer needs', 'x'), 'OK', 'a little memory is left')
  await t.rejects(
    log.append(entry('too early', 10)),
    new UnavailableError('redis_full'),
    'for consumers alone'
  )
  await client.xgroup('DESTROY', STREAM, 'stopped')
  await until('room', () => log.append(entry('last', 10)).catch(() => false))
})
