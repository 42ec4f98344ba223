import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { withTimeout } from '../../src/async/abort.ts'
import { type Acknowledger, createAcknowledger } from '../../src/group/acknowledger.ts'
import type { ReadEntry } from '../../src/group/fenced-read.ts'
import { createPartitionReader } from '../../src/group/partition-reader.ts'
import { redeliver } from '../../src/group/redeliver.ts'
import type { RedisClient } from '../../src/redis/connect.ts'
import { appendEvent } from '../helpers/log.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())

/** Redis acknowledges at once, and its reply arrives later. */
function slowAcknowledger(replyMs: number): Acknowledger {
  const client = {
    xack: async (stream: string, group: string, ...ids: string[]) => {
      const count = await redis.connection.xack(stream, group, ...ids)
      await sleep(replyMs)
      return count
    }
  } as unknown as RedisClient
  const onError = (error: unknown): void => void t.fail(String(error))
  return createAcknowledger({ redis: client, stream: STREAM, group: GROUP, onError })
}

async function openReader(acknowledger: Acknowledger, renewLease = async () => true) {
  const lease = { key: 'cio:lease:{0}:crm', token: 'me' }
  await redis.client.set(lease.key, lease.token)
  const draining = new AbortController()
  const reader = createPartitionReader({
    redis: redis.connection,
    lease,
    stream: STREAM,
    redeliverKey: 'cio:redeliver:{0}:crm',
    partition: 0,
    group: GROUP,
    renewLease,
    acknowledger,
    waiter: { waitForNewer: () => sleep(10), close: () => {} },
    draining: draining.signal,
    revoked: new AbortController().signal,
    onError: error => t.fail(String(error))
  })
  return { reader, drain: () => draining.abort() }
}

t.test('an acknowledgement does not wait for those that come after it', async t => {
  const acknowledger = slowAcknowledger(50)
  const entry = (id: string): ReadEntry => ({
    partition: 0,
    id,
    type: '',
    event: id,
    deliveryCount: 0,
    fields: []
  })
  let sequence = 0
  const more = setInterval(() => void acknowledger.acknowledge([entry(`2-${++sequence}`)]), 5)
  t.teardown(() => clearInterval(more))
  const first = acknowledger.acknowledge([entry('1-1')]).then(() => 'confirmed')
  t.equal(await withTimeout(2000, first), 'confirmed')
  clearInterval(more)
  await acknowledger.flushed()
  for (let number = 1; number <= sequence; number++) {
    t.notOk(acknowledger.isUnconfirmed(entry(`2-${number}`)))
  }
})

t.test('an entry that is redelivered right after its acknowledgement is read again', async t => {
  const acknowledger = slowAcknowledger(300)
  const { reader, drain } = await openReader(acknowledger)
  t.teardown(() => {
    drain()
    acknowledger.close()
  })
  for (const id of ['a', 'b']) await appendEvent(redis.client, { id })
  const [first] = await reader.read(1)
  const [second] = await reader.read(1)
  if (first === undefined || second === undefined) return t.fail('two entries')
  void reader.acknowledge([first])
  await sleep(100)
  void reader.acknowledge([second])
  await until('the first is confirmed', async () => !acknowledger.isUnconfirmed(first))
  t.same(await redeliver(redis.connection, 'cio:', GROUP, 0, [first.id]), [first.id])
  t.match(await withTimeout(3000, reader.read(1)), [{ id: first.id }])
})

t.test('an entry that is acknowledged while the pending ones are read again is not read twice', async t => {
  const onError = (error: unknown): void => void t.fail(String(error))
  const acknowledger = createAcknowledger({ redis: redis.connection, stream: STREAM, group: GROUP, onError })
  let renewals = 0
  const { reader, drain } = await openReader(acknowledger, async () => {
    await redis.client.set('cio:lease:{0}:crm', 'me')
    // So that the replies to the read and to the acknowledgement behind it arrive together.
    await redis.client.call('CLIENT', 'PAUSE', '200', 'ALL')
    renewals++
    return true
  })
  t.teardown(() => {
    drain()
    acknowledger.close()
  })
  await appendEvent(redis.client, { id: 'a' })
  const entries = await reader.read(1)
  await redis.client.del('cio:lease:{0}:crm')
  const reading = reader.read(1)
  await until('the pending entries are asked for', async () => renewals > 0)
  await reader.acknowledge(entries)
  t.equal(await withTimeout(500, reading), undefined)
})
