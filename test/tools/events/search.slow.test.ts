import fc from 'fast-check'
import t from 'tap'
import { compileTypeGlobs } from '../../../src/event-types.ts'
import { partitionKeys } from '../../../src/log/keys.ts'
import { partitionOf, publishPartitionCount } from '../../../src/log/partition.ts'
import { formatPosition, type LogPosition } from '../../../src/log/position.ts'
import type { RedisClient } from '../../../src/redis/connect.ts'
import { connectRedis } from '../../../src/redis/connect.ts'
import { searchEvents } from '../../../src/tools/events/search.ts'
import type { EventQuery } from '../../../src/tools/events/walk-log.ts'
import { startCluster } from '../../helpers/cluster.ts'
import { connectedRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())

const START_MS = 1_795_510_800_000
const DAY_MS = 24 * 60 * 60 * 1000
const HASHES = ['a'.repeat(64), `${'a'.repeat(63)}b`]

interface TestEvent {
  readonly id: string
  readonly type: string
  readonly subject: string | undefined
  readonly hash: string | undefined
  readonly atMs: number
}

/** Writes events as the receiver would, at a given time. @returns their positions, oldest first */
async function write(
  events: readonly TestEvent[],
  partitions: number,
  client: RedisClient = redis.connection
): Promise<LogPosition[]> {
  const positions: LogPosition[] = []
  for (const { id, type, subject, hash, atMs } of [...events].sort((a, b) => a.atMs - b.atMs)) {
    const partition = partitionOf(subject ?? id, partitions)
    const event = JSON.stringify({
      specversion: '1.0',
      id,
      source: '/customerio/default',
      type,
      ...(subject === undefined ? {} : { subject }),
      data: { email_hash: hash, inside: { id: 'e1', subject: 'ada' } }
    })
    const entry = await client.xadd(
      partitionKeys('cio:', partition).events,
      `${atMs}-*`,
      'type',
      type,
      'event',
      event
    )
    positions.push(formatPosition(partition, String(entry)))
  }
  return positions
}

const event = (id: string, given: Partial<TestEvent> = {}): TestEvent => ({
  id,
  type: 'io.customer.email.opened',
  subject: undefined,
  hash: undefined,
  atMs: START_MS,
  ...given
})

const log = (client: RedisClient = redis.connection, dedupeWindowMs = 8 * DAY_MS) => ({
  redis: client,
  keyPrefix: 'cio:',
  dedupeWindowMs
})

const idsOf = async (query: Partial<EventQuery>, client?: RedisClient): Promise<unknown[]> => {
  const { entries } = await searchEvents(log(client), { count: 100, ...query })
  return entries.map(({ event }) => JSON.parse(event).id)
}

const names = ['e1', 'e2', 'quote"\\', 'é\u2028😀', 'long'.repeat(40)]
const customers = ['ada', 'ad', 'a"b', '1', '😀', 'a'.repeat(64)]
const eventArbitrary = fc.record({
  id: fc.constantFrom(...names),
  type: fc
    .constantFrom('email.opened', 'email.clicked', 'push.opened', 'unknown')
    .map(name => `io.customer.${name}`),
  subject: fc.option(fc.constantFrom(...customers), { nil: undefined }),
  hash: fc.option(fc.constantFrom(...HASHES), { nil: undefined }),
  atMs: fc.integer({ min: START_MS, max: START_MS + 20 })
})
const some = <T>(...values: readonly T[]) =>
  fc.option(fc.subarray([...values], { minLength: 1, maxLength: 2 }), { nil: undefined })
const queryArbitrary = fc.record({
  ids: some('e1', ...names),
  customers: some(...customers),
  hashes: some(...HASHES),
  types: some('email.*', '*.opened', '?ush.opened', '*', 'unknown', '*mail*o*d'),
  fromMs: fc.option(fc.integer({ min: START_MS, max: START_MS + 20 }), { nil: undefined }),
  toMs: fc.option(fc.integer({ min: START_MS, max: START_MS + 20 }), { nil: undefined }),
  count: fc.integer({ min: 1, max: 6 })
})

t.test('a search returns exactly what a scan of all entries returns, also page by page', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(eventArbitrary, { maxLength: 60 }),
      fc.integer({ min: 1, max: 4 }),
      queryArbitrary,
      async (events, partitions, query) => {
        await redis.client.flushall()
        await publishPartitionCount(redis.connection, 'cio:', partitions)
        await write(events, partitions)
        const expected = await naiveSearch(partitions, query)
        const found: string[] = []
        for (let before: LogPosition | undefined; ; ) {
          const page = await searchEvents(log(), { ...query, before })
          if (page.entries.length > query.count) throw new Error('more than asked for')
          found.push(...page.entries.map(({ partition, id }) => formatPosition(partition, id)))
          before = page.older
          if (before === undefined) break
        }
        t.strictSame(found, expected)
      }
    ),
    { numRuns: 100 }
  )
})

async function naiveSearch(partitions: number, query: Partial<EventQuery>): Promise<string[]> {
  const found: { position: string; order: readonly [number, number, number] }[] = []
  for (let partition = 0; partition < partitions; partition++) {
    for (const [entry, fields] of await redis.client.xrange(`cio:events:{${partition}}`, '-', '+')) {
      const [ms = 0, sequence = 0] = entry.split('-').map(Number)
      const { id, subject, data } = JSON.parse(fields[3] ?? '')
      const matches =
        (query.ids?.includes(id) ?? true) &&
        (query.customers?.includes(subject) ?? true) &&
        (query.hashes?.some(hash => [subject, data.email_hash].includes(hash)) ?? true) &&
        compileTypeGlobs(query.types)(fields[1] ?? '') &&
        ms >= (query.fromMs ?? 0) &&
        ms <= (query.toMs ?? ms)
      if (matches) found.push({ position: `${partition}-${entry}`, order: [ms, sequence, partition] })
    }
  }
  const newestFirst = ([a = 0, b = 0, c = 0], [d = 0, e = 0, f = 0]: readonly number[]) =>
    d - a || e - b || f - c
  return found.sort((a, b) => newestFirst([...a.order], b.order)).map(({ position }) => position)
}

t.test(
  'a customer is found in the partitions of every PARTITIONS that was in use, and only they are read',
  async t => {
    const at = (index: number) => ({ subject: 'ada', atMs: START_MS + index })
    for (const [index, partitions] of [1, 8, 3].entries()) {
      await publishPartitionCount(redis.connection, 'cio:', partitions)
      await write([event(`e${index}`, at(index))], partitions)
    }
    t.same(await redis.client.smembers('cio:partition-counts'), ['1', '3', '8'])
    t.same(await idsOf({ customers: ['ada'] }), ['e2', 'e1', 'e0'])

    const read = new Set([1, 8, 3].map(partitions => partitionOf('ada', partitions)))
    const others = [...Array(8).keys()].filter(partition => !read.has(partition))
    for (const partition of others) await redis.client.set(`cio:events:{${partition}}`, 'not a stream')
    t.equal((await idsOf({ customers: ['ada'] })).length, 3, 'no other partition was read')
    await t.rejects(idsOf({}), /WRONGTYPE/)

    await redis.client.del('cio:partition-counts', ...others.map(partition => `cio:events:{${partition}}`))
    t.same(await idsOf({ customers: ['ada'] }), ['e2', 'e1', 'e0'], 'a log of an older version')
  }
)

/** A ULID of this time. */
function ulid(ms: number, random = '0'.repeat(16)): string {
  let digits = ''
  for (let left = ms; digits.length < 10; left = Math.floor(left / 32)) {
    digits = `${'0123456789ABCDEFGHJKMNPQRSTVWXYZ'[left % 32]}${digits}`
  }
  return digits + random
}

t.test('an id of Customer.io is looked for around its time first, then everywhere', async t => {
  t.equal(ulid(1_469_918_176_385), '01ARYZ6S410000000000000000', 'the example of the ULID specification')
  const id = ulid(START_MS)
  const others = Array.from({ length: 1000 }, (_, index) =>
    event(`x${index}`, { atMs: START_MS + (index - 500) * 60_000 })
  )
  await write([...others, event(id, { atMs: START_MS + 5000 })], 1)
  const near = await searchEvents(log(), { ids: [id], count: 1 })
  t.equal(near.entries.length, 1)
  t.ok(near.searched < 50, `${near.searched} entries were read`)

  const late = ulid(START_MS - 6 * DAY_MS)
  await write([event(late, { atMs: START_MS + 600 * 60_000 })], 1)
  t.equal((await searchEvents(log(), { ids: [late], count: 10 })).entries.length, 1, 'delivered days later')
  t.same(await idsOf({ ids: [late, id] }), [late, id])
  t.same(await idsOf({ ids: [id, ulid(START_MS + 1)] }), [id], 'one of them unknown')
})

t.test('an id that was appended again after the dedupe window is found at both positions', async t => {
  const id = ulid(START_MS)
  for (const atMs of [START_MS, START_MS + 9 * DAY_MS]) await write([event(id, { atMs })], 1)
  t.same(await idsOf({ ids: [id] }), [id, id])
  const [newest] = (await searchEvents(log(), { ids: [id], count: 1 })).entries
  t.equal(newest?.id, `${START_MS + 9 * DAY_MS}-0`)
})

t.test('a search says what it read, and reports progress', async t => {
  t.match(await searchEvents(log(), { count: 5 }), {
    entries: [],
    searched: 0,
    oldestMs: undefined,
    older: undefined
  })
  await write(
    Array.from({ length: 300 }, (_, index) => event(`e${index}`, { atMs: START_MS + index })),
    1
  )
  const shares: number[] = []
  const onProgress = (share: number): void => void shares.push(share)
  t.match(await searchEvents(log(), { ids: ['nothing'], count: 5 }, { onProgress }), {
    searched: 300,
    oldestMs: START_MS,
    newestMs: START_MS + 299
  })
  t.equal(shares.at(-1), 1)
})

t.test('a search that is cancelled returns what it found, and can be continued', async t => {
  await write(
    Array.from({ length: 4000 }, (_, index) =>
      event(`e${index}`, { atMs: START_MS + index, hash: 'x'.repeat(2000) })
    ),
    1
  )
  const query = { ids: ['e3999', 'e0'], count: 10 }
  const first = await searchEvents(log(), query, { signal: AbortSignal.abort() })
  t.same([first.entries.length, first.searched < 4000], [1, true])
  const rest = await searchEvents(log(), { ...query, before: first.older })
  t.same([rest.entries.length, first.searched + rest.searched, rest.older], [1, 4000, undefined])
  const brief = await searchEvents(log(), query, { budgetMs: 0 })
  t.same([brief.entries.length, brief.older], [1, first.older && brief.older])
})

t.test(
  'events of several partitions stay in order although most that Redis returns do not match',
  async t => {
    await publishPartitionCount(redis.connection, 'cio:', 2)
    const customer = (partition: number): string =>
      [...'abcdefgh'].find(name => partitionOf(name, 2) === partition) ?? ''
    const at = (ms: number, partition: number, id = 'other') =>
      event(id, { subject: customer(partition), atMs: START_MS + ms })
    await write([at(10, 0), at(9, 0), at(8, 0, 'e1'), at(7, 1, 'e1'), at(6, 1)], 2)
    const { entries } = await searchEvents(log(), { ids: ['e1'], count: 2 })
    t.same(
      entries.map(({ id }) => id),
      [`${START_MS + 8}-0`, `${START_MS + 7}-0`]
    )
  }
)

t.test('a time before the first event is not searched for in all of the log', async t => {
  await write(
    Array.from({ length: 4000 }, (_, index) => event(`e${index}`, { atMs: START_MS + index })),
    1
  )
  await redis.client.config('RESETSTAT')
  t.match(await searchEvents(log(), { toMs: START_MS - 1, count: 10 }), { entries: [], searched: 0 })
  const before = formatPosition(0, `${START_MS}-0`)
  t.match(await searchEvents(log(), { before, count: 10 }), { entries: [], searched: 0 })
  t.notMatch(await redis.client.info('commandstats'), 'xrevrange', 'which would read each entry')
})

t.test('events of the largest size are read in small pages', async t => {
  const large = 'x'.repeat(8 * 1024 * 1024)
  await write(
    Array.from({ length: 6 }, (_, index) => event(`e${index}`, { atMs: START_MS + index, hash: large })),
    1
  )
  t.same(await idsOf({}), ['e5', 'e4', 'e3', 'e2', 'e1', 'e0'])
})

t.test('a type that can match nothing is refused', async t => {
  await t.rejects(idsOf({ types: ['a b'] }), TypeError)
})

t.test('on a Cluster, all partitions are searched', async t => {
  const cluster = await startCluster()
  const client = connectRedis(cluster.address)
  t.teardown(async () => {
    client.disconnect()
    await cluster.stop()
  })
  await until('a connection', async () => client.status === 'ready')
  await publishPartitionCount(client, 'cio:', 5)
  const events = Array.from({ length: 40 }, (_, index) =>
    event(`e${index}`, { subject: `c${index}`, atMs: START_MS + index })
  )
  await write(events, 5, client)
  t.same(await idsOf({ count: 3 }, client), ['e39', 'e38', 'e37'])
  t.same(await idsOf({ customers: ['c7'] }, client), ['e7'])
})
