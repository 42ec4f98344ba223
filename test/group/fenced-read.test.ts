import t from 'tap'
import { CONSUMER_NAME, fencedRead, setDeliveryCount } from '../../src/group/fenced-read.ts'
import { redeliver } from '../../src/group/redeliver.ts'
import { appendEvent } from '../helpers/log.ts'
import { startRedis } from '../helpers/redis.ts'

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'
const { client, stop } = await startRedis()
t.teardown(() => stop())
t.beforeEach(() => client.flushall())

const lease = { key: 'cio:lease:{0}:crm', token: 'me' }
const options = {
  redis: client,
  lease,
  stream: STREAM,
  redeliverKey: 'cio:redeliver:{0}:crm',
  partition: 0,
  group: GROUP
}

/** Appends events, and delivers the first ones to a consumer of the group. @returns their ids */
async function deliver(events: readonly string[], consumer: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (const id of events) ids.push(await appendEvent(client, { id }))
  await client.xgroup('CREATE', STREAM, GROUP, '0')
  await client.xreadgroup('GROUP', GROUP, consumer, 'COUNT', count, 'STREAMS', STREAM, '>')
  return ids
}
const holdLease = () => client.set(lease.key, lease.token)
const pending = async () => (await client.xpending(STREAM, GROUP, '-', '+', 10)) as unknown[][]

t.test('without the lease nothing is read, neither new nor pending entries', async t => {
  const [first = ''] = await deliver(['pending', 'new'], 'another', 1)
  for (const holder of ['another member', undefined]) {
    if (holder === undefined) await client.del(lease.key)
    else await client.set(lease.key, holder)
    t.same(await fencedRead(options, 10, { newAfter: first }), { state: 'lease_lost' })
    t.same(await fencedRead(options, 10, { pendingAfter: '0-0' }), { state: 'lease_lost' })
  }
  t.match(await pending(), [[String, 'another', Number, 1]], 'nothing was delivered or taken over')
  await holdLease()
  t.match(await fencedRead(options, 10, { pendingAfter: '0-0' }), {
    state: 'pending',
    entries: [{ deliveryCount: 1 }]
  })
  t.match(await fencedRead(options, 10, { newAfter: first }), {
    state: 'new',
    entries: [{ deliveryCount: 0 }]
  })
})

t.test(
  'entries that are pending under a consumer name of version 0.1 are read, with their count',
  async t => {
    const ids = await deliver(['a', 'b', 'c'], 'holder', 2)
    await client.call('XCLAIM', STREAM, GROUP, 'put-back', 0, ids[1] ?? '', 'RETRYCOUNT', 0, 'JUSTID')
    await holdLease()
    const result = await fencedRead(options, 10, { pendingAfter: '0-0' })
    t.match(result, {
      state: 'pending',
      cursor: '',
      deletedCount: 0,
      entries: [
        { id: ids[0], deliveryCount: 1 },
        { id: ids[1], deliveryCount: 0 }
      ]
    })
    t.match(await pending(), [
      [ids[0], CONSUMER_NAME, Number, 1],
      [ids[1], CONSUMER_NAME, Number, 1]
    ])
    await client.xack(STREAM, GROUP, ...ids.slice(0, 2))
    t.match(await fencedRead(options, 10, { newAfter: ids[1] ?? '' }), {
      state: 'new',
      entries: [{ id: ids[2] }]
    })
  }
)

t.test('pending entries are read page by page, and deleted ones are counted', async t => {
  const ids = await deliver(['a', 'b', 'c'], 'another', 3)
  await client.xdel(STREAM, ids[0] ?? '')
  await holdLease()
  const first = await fencedRead(options, 2, { pendingAfter: '0-0' })
  t.match(first, { state: 'pending', cursor: ids[1], deletedCount: 1, entries: [{ id: ids[1] }] })
  const second = await fencedRead(options, 2, { pendingAfter: ids[1] ?? '' })
  t.match(second, { state: 'pending', cursor: '', deletedCount: 0, entries: [{ id: ids[2] }] })
  t.same(await fencedRead(options, 2, { newAfter: ids[2] ?? '' }), {
    state: 'new',
    cursor: ids[2],
    deletedCount: 0,
    entries: []
  })
})

t.test('a read of large entries ends soon after 1 MiB, and the next one goes on after it', async t => {
  const data = 'x'.repeat(600 * 1024)
  const ids: string[] = []
  for (let n = 0; n < 10; n++) ids.push(await appendEvent(client, { id: String(n), data }))
  await client.xgroup('CREATE', STREAM, GROUP, '0')
  await holdLease()
  const readAll = async (next: (last: string) => Parameters<typeof fencedRead>[2]) => {
    const reads: string[][] = []
    for (let last = '0-0'; last !== ''; ) {
      const result = await fencedRead(options, 9, next(last))
      if (!('entries' in result) || result.entries.length === 0) break
      reads.push(result.entries.map(({ id }) => id))
      last = result.state === 'pending' ? result.cursor : (result.entries.at(-1)?.id ?? '')
    }
    return reads
  }
  t.same(await readAll(newAfter => ({ newAfter })), [ids.slice(0, 4), ids.slice(4, 8), ids.slice(8)])
  const pairs = [0, 2, 4, 6, 8].map(start => ids.slice(start, start + 2))
  t.same(await readAll(pendingAfter => ({ pendingAfter })), pairs)
})

t.test('after a redelivery the reader is sent back to the pending entries, once', async t => {
  const [first = ''] = await deliver(['a', 'b'], 'another', 1)
  await client.xack(STREAM, GROUP, first)
  await holdLease()
  await redeliver(client, 'cio:', GROUP, 0, [first])
  t.same(await fencedRead(options, 10, { newAfter: first }), { state: 'pending_changed' })
  t.match(await fencedRead(options, 10, { pendingAfter: '0-0' }), {
    state: 'pending',
    entries: [{ id: first, deliveryCount: 0 }]
  })
  t.match(await fencedRead(options, 10, { newAfter: first }), { state: 'new' })
})

t.test('reading an entry that counts as never delivered is a delivery, as for a new one', async t => {
  const [redelivered = '', neverAttempted = ''] = await deliver(['a', 'b'], CONSUMER_NAME, 2)
  await client.xack(STREAM, GROUP, redelivered)
  await holdLease()
  await redeliver(client, 'cio:', GROUP, 0, [redelivered])
  await client.call('XCLAIM', STREAM, GROUP, CONSUMER_NAME, 0, neverAttempted, 'RETRYCOUNT', 0, 'JUSTID')
  for (const deliveryCount of [0, 1, 1]) {
    t.match(await fencedRead(options, 10, { pendingAfter: '0-0' }), {
      entries: [
        { id: redelivered, deliveryCount },
        { id: neverAttempted, deliveryCount }
      ]
    })
  }
})

t.test('an entry that was delivered without the reader is found before newer ones are read', async t => {
  const [first = '', second = ''] = await deliver(['a', 'b', 'c'], CONSUMER_NAME, 2)
  await holdLease()
  t.same(await fencedRead(options, 10, { newAfter: first }), { state: 'pending_changed' })
  t.match(await fencedRead(options, 10, { pendingAfter: first }), { entries: [{ id: second }] })
  t.match(await fencedRead(options, 10, { newAfter: second }), { state: 'new', entries: [{}] })
})

t.test('a delivery count that was set is what the next reader gets', async t => {
  await deliver(['a'], 'another', 1)
  await holdLease()
  const result = await fencedRead(options, 10, { pendingAfter: '0-0' })
  if (!('entries' in result)) return t.fail(result.state)
  await setDeliveryCount(options, result.entries, 7)
  t.match(await fencedRead(options, 10, { pendingAfter: '0-0' }), { entries: [{ deliveryCount: 7 }] })
  await setDeliveryCount(options, [], 9)
})

t.test('a group that was lost with its Redis is created again, from the oldest entry', async t => {
  const id = await appendEvent(client, { id: 'a' })
  await holdLease()
  t.match(await fencedRead(options, 10, { pendingAfter: '0-0' }), { state: 'pending', entries: [] })
  t.match(await fencedRead(options, 10, { newAfter: '0-0' }), { state: 'new', entries: [{ id }] })
})
