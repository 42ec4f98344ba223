import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import {
  type BatchConsumerOptions,
  consumeInBatches,
  type HandleEntries
} from '../../src/group/batch-consumer.ts'
import { CONSUMER_NAME } from '../../src/group/fenced-read.ts'
import { publishPartitionCount } from '../../src/log/partition.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { bestTime } from '../helpers/best-time.ts'
import { appendEvent } from '../helpers/log.ts'
import { flushedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'

const redis = await flushedRedis(t)

/** A connection that is closed after the test. */
function connectionOf(test: Test): Redis {
  const client = redis.client.duplicate()
  test.teardown(() => client.disconnect())
  return client
}

const ids = (entries: readonly { event: string }[]): string[] =>
  entries.map(entry => JSON.parse(entry.event).id)

/** Starts a consumer with the usual options of these tests. It stops after the test. */
async function follow(test: Test, handle: HandleEntries, options: Partial<BatchConsumerOptions> = {}) {
  const follower = consumeInBatches(
    {
      connect: () => connectRedis(redis.address),
      keyPrefix: 'cio:',
      group: GROUP,
      member: 'm1',
      batchSize: 100,
      backoff: { firstMs: 5, maxMs: 20 },
      leaseMs: 1000,
      ...options
    },
    handle
  )
  test.teardown(() => follower.stop())
  await follower.start()
  return follower
}

const append = async (names: readonly string[], partitions = 1): Promise<void> => {
  for (const id of names) await appendEvent(redis.client, { id }, { partitions })
}
const pending = async (): Promise<number> => Number((await redis.client.xpending(STREAM, GROUP))[0])
const allAcknowledged = () => until('everything is acknowledged', async () => (await pending()) === 0)

t.test(
  'a new group starts with the oldest event, in order, and acknowledges what it has handled',
  async t => {
    await append(['a', 'b', 'c'])
    const seen: string[] = []
    await follow(t, async entries => void seen.push(...ids(entries)))
    await until('the old events', async () => seen.length === 3)
    await append(['d', 'e'])
    await until('the new events', async () => seen.length === 5)
    t.same(seen, ['a', 'b', 'c', 'd', 'e'])
    await allAcknowledged()
  }
)

t.test('a new group with from: now gets only events after its start', async t => {
  await append(['a', 'b'])
  const seen: string[] = []
  await follow(t, async entries => void seen.push(...ids(entries)), { from: 'now' })
  await append(['c'])
  await until('the event after the start', async () => seen.length > 0)
  t.same(seen, ['c'])
})

t.test('a new event is delivered within a fraction of a second, not after the blocking time', async t => {
  const seen: string[] = []
  await follow(t, async entries => void seen.push(...ids(entries)))
  await append(['first'])
  await until('the first', async () => seen.length === 1)
  let events = 0
  const waitMs = await bestTime(300, async () => {
    const id = `event-${++events}`
    await append([id])
    await until(id, async () => seen.includes(id))
  })
  t.ok(waitMs < 300, `${waitMs} ms: far below the second that a lost notification costs`)
})

t.test('pending entries of other consumers come first, in order, with their delivery count', async t => {
  await append(['a', 'b', 'c', 'd', 'e'])
  await redis.client.xgroup('CREATE', STREAM, GROUP, '0')
  await redis.client.xreadgroup('GROUP', GROUP, 'dead-1', 'COUNT', 2, 'STREAMS', STREAM, '>')
  await redis.client.xreadgroup('GROUP', GROUP, 'dead-2', 'COUNT', 1, 'STREAMS', STREAM, '>')
  await redis.client.xreadgroup('GROUP', GROUP, 'dead-1', 'COUNT', 1, 'STREAMS', STREAM, '0')
  const seen: [string, number][] = []
  await follow(
    t,
    async entries => {
      for (const entry of entries) seen.push([ids([entry]).join(), entry.deliveryCount])
    },
    { batchSize: 2 }
  )
  await until('all of them', async () => seen.length === 5)
  t.same(seen, [
    ['a', 2],
    ['b', 1],
    ['c', 1],
    ['d', 0],
    ['e', 0]
  ])
  await allAcknowledged()
})

t.test(
  'after a rejection the same entries come again, later ones wait, and nothing is acknowledged',
  async t => {
    await append(['a', 'b', 'c'])
    const calls: string[] = []
    const errors: unknown[] = []
    let pendingWhileFailing = -1
    await follow(
      t,
      async entries => {
        calls.push(ids(entries).join())
        if (calls.length === 3) pendingWhileFailing = await pending()
        if (calls.length <= 3) throw new Error('not now')
      },
      { batchSize: 2, onError: error => errors.push(error) }
    )
    await until('the last entry', async () => calls.includes('c'))
    t.same(calls, ['a,b', 'a,b', 'a,b', 'a,b', 'c'])
    t.equal(pendingWhileFailing, 2)
    t.equal(errors.length, 3)
  }
)

t.test('a stop waits for the handler, acknowledges its entries, and releases the lease', async t => {
  await append(['a'])
  let finish = (): void => {}
  const handled = new Promise<void>(resolve => {
    finish = resolve
  })
  let began = false
  const follower = await follow(t, () => {
    began = true
    return handled
  })
  await until('the handler began', async () => began)
  const stopped = follower.stop()
  t.equal(await redis.client.exists('cio:lease:{0}:crm'), 1, 'held while entries are in flight')
  finish()
  await stopped
  t.equal(await pending(), 0)
  t.same(await redis.client.keys('cio:lease:*'), [])
  t.same(await redis.client.keys('cio:members:*'), [])
})

t.test('a stop right after the start ends, and leaves no lease behind', async t => {
  for (let round = 0; round < 10; round++) {
    const follower = await follow(t, async () => {})
    await follower.stop()
    t.equal(await redis.client.exists(`cio:lease:{0}:${GROUP}`), 0)
  }
})

t.test('a stop abandons a handler that hangs: its entries are the next member’s, at once', async t => {
  await append(['a', 'b'])
  let aborted = false
  let began = false
  const follower = await follow(
    t,
    (_, signal) => {
      began = true
      signal.addEventListener('abort', () => {
        aborted = true
      })
      return new Promise(() => {})
    },
    { stopTimeoutMs: 50, leaseMs: 60_000 }
  )
  await until('the handler began', async () => began)
  await follower.stop()
  t.ok(aborted, 'the handler’s signal was aborted')
  t.equal(await pending(), 2)
  const seen: string[] = []
  await follow(t, async entries => void seen.push(...ids(entries)), { leaseMs: 60_000 })
  await until('the next member has them', async () => seen.length === 2)
  t.same(seen, ['a', 'b'])
})

t.test('a member that lost its lease reads no more, and its handler’s signal is aborted', async t => {
  await append(['a'])
  let signal: AbortSignal | undefined
  await follow(t, (_, given) => {
    signal = given
    return new Promise(() => {})
  })
  await until('the handler has it', async () => signal !== undefined)
  await redis.client.set('cio:lease:{0}:crm', 'another member')
  await append(['b'])
  await until('the signal is aborted', async () => signal?.aborted)
  const [group] = (await redis.client.xinfo('GROUPS', STREAM)) as unknown[][]
  t.equal(group?.[group.indexOf('entries-read') + 1], 1, 'b was not delivered')
})

t.test(
  'entries of a read that Redis ran after its reply was no longer awaited are handled, in order',
  async t => {
    const seen: string[] = []
    await follow(t, async entries => void seen.push(...ids(entries)))
    await append(['a'])
    await until('the first', async () => seen.length === 1)
    // As if a connection that was given up had carried it late.
    await redis.client
      .multi()
      .xadd(STREAM, '*', 'type', 't', 'event', '{"id":"b"}')
      .xreadgroup('GROUP', GROUP, CONSUMER_NAME, 'COUNT', 10, 'STREAMS', STREAM, '>')
      .xadd(STREAM, '*', 'type', 't', 'event', '{"id":"c"}')
      .exec()
    await until('the entry after it', async () => seen.includes('c'))
    t.same(seen, ['a', 'b', 'c'])
    await allAcknowledged()
  }
)

t.test('members share the partitions, and each partition has one member at a time', async t => {
  const handedTo: string[][] = [[], [], [], []]
  const working = new Set<number>()
  let overlaps = 0
  const member = (name: string): Promise<{ stop(): Promise<void> }> =>
    follow(
      t,
      async entries => {
        const partition = entries[0]?.partition ?? -1
        if (working.has(partition)) overlaps++
        working.add(partition)
        await new Promise(resolve => setImmediate(resolve))
        handedTo[partition]?.push(name)
        working.delete(partition)
      },
      { member: name, partitions: 4, batchSize: 1 }
    )
  const holders = async (): Promise<string[]> => {
    const values = await redis.client.mget([0, 1, 2, 3].map(partition => `cio:lease:{${partition}}:crm`))
    return values.map(value => value?.split(':')[0] ?? '-').sort()
  }
  const holdersAre = (names: string): Promise<unknown> =>
    until(names, async () => (await holders()).join('') === names)

  const events = Array.from({ length: 200 }, (_, index) => `e${index}`)
  const appending = (async () => {
    for (const id of events) {
      await append([id], 4)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  })()
  const one = await member('1')
  await holdersAre('1111')
  const two = await member('2')
  await holdersAre('1122')
  const three = await member('3')
  await until('no member has more than two', async () => new Set(await holders()).size === 3)
  await one.stop()
  await holdersAre('2233')
  await three.stop()
  await holdersAre('2222')
  await appending
  await until('every event', async () => handedTo.flat().length >= events.length)
  t.equal(handedTo.flat().length, events.length, 'each once, because every member stopped cleanly')
  t.equal(overlaps, 0)
  await two.stop()
})

t.test('a member reads the number of partitions, also when it grows', async t => {
  const seen: string[] = []
  await follow(t, async entries => void seen.push(...ids(entries)), { from: 'now' })
  await publishPartitionCount(connectionOf(t), 'cio:', 4)
  await append(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'], 4)
  await until('the events of all partitions, appended before or after the member knew them', async () => {
    return seen.length === 8
  })
  t.same(seen.toSorted(), ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])
})

t.test('a group with from: now misses nothing of partitions that were added while no member ran', async t => {
  await append(['before'])
  const seen: string[] = []
  const note = async (entries: readonly { event: string }[]): Promise<void> => void seen.push(...ids(entries))
  const first = await follow(t, note, { from: 'now' })
  await first.stop()
  await publishPartitionCount(connectionOf(t), 'cio:', 4)
  const added = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  await append(added, 4)
  await follow(t, note, { from: 'now' })
  await append(['last'], 4)
  await until('the last event', async () => seen.includes('last'))
  await until('the others', async () => seen.length > added.length).catch(() => {})
  t.same(seen.toSorted(), [...added, 'last'])
})

t.test('members that start at the same time create a group with from: now without old events', async t => {
  await publishPartitionCount(connectionOf(t), 'cio:', 8)
  await append(
    Array.from({ length: 40 }, (_, index) => `old-${index}`),
    8
  )
  const seen: string[] = []
  const note = async (entries: readonly { event: string }[]): Promise<void> => void seen.push(...ids(entries))
  await Promise.all(['m1', 'm2', 'm3'].map(member => follow(t, note, { from: 'now', member })))
  await append(['new'], 8)
  await until('the new event', async () => seen.includes('new'))
  t.same(seen, ['new'])
})

t.test('an entry of another writer is passed on unchanged', async t => {
  await redis.client.xadd(STREAM, '*', 'hello', 'world')
  const seen: unknown[] = []
  await follow(t, async entries => {
    seen.push(...entries.map(({ type, event, fields }) => ({ type, event, fields })))
  })
  await until('it', async () => seen.length === 1)
  t.same(seen, [{ type: '', event: '', fields: ['hello', 'world'] }])
})

t.test('entries that were deleted before they were acknowledged are reported, and block nothing', async t => {
  await append(['a', 'b', 'c'])
  await redis.client.xgroup('CREATE', STREAM, GROUP, '0')
  await redis.client.xreadgroup('GROUP', GROUP, 'dead', 'COUNT', 2, 'STREAMS', STREAM, '>')
  const [first] = await redis.client.xrange(STREAM, '-', '+', 'COUNT', 1)
  await redis.client.xdel(STREAM, first?.[0] ?? '')
  const seen: string[] = []
  const errors: unknown[] = []
  await follow(t, async entries => void seen.push(...ids(entries)), {
    onError: error => errors.push(error)
  })
  await until('the others', async () => seen.length === 2)
  t.same(seen, ['b', 'c'])
  t.match(errors, [{ name: 'EntriesDeletedError', count: 1 }])
  await allAcknowledged()
})
