import fc from 'fast-check'
import t from 'tap'
import { DOCTOR_USER_AGENT } from '../../../src/event-types.ts'
import {
  bucketKeysOf,
  formatGenerations,
  type Generations,
  grow,
  memberField
} from '../../../src/log/dedupe-index.ts'
import { partitionKeys } from '../../../src/log/keys.ts'
import { partitionOf, publishPartitionCount, readPartitionCount } from '../../../src/log/partition.ts'
import type { LogPosition } from '../../../src/log/position.ts'
import { publishSources, readSources } from '../../../src/log/published-log.ts'
import { digestsOfId } from '../../../src/receive/event-id.ts'
import { findIds } from '../../../src/tools/events/id-index.ts'
import { searchEvents } from '../../../src/tools/events/search.ts'
import { connectedRedis } from '../../helpers/redis.ts'
import { startTestService } from '../../helpers/service.ts'
import { type Headers, signCdp, signV0 } from '../../helpers/sign.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())

const START_MS = 1_795_510_800_000
const MINUTE_MS = 60_000
const HEX = 'ab'.repeat(32)
const ids = ['e1', 'e2', HEX, '01ARYZ6S410000000000000000', 'quote"\\']

/** A log in which time passes as the test says. It is written as append.lua and `rotateAndExpire` do. */
function simulatedLog(isDense: boolean) {
  let nowMs = START_MS
  const lists = new Map<number, Generations>()
  const listOf = (partition: number): Generations => lists.get(partition) ?? []
  const setList = async (partition: number, list: Generations): Promise<void> => {
    lists.set(partition, list)
    await redis.client.set(partitionKeys('cio:', partition).generations, formatGenerations(list))
    if (isDense) await log.fill(partition)
  }
  const log = {
    pass: (minutes: number) => {
      nowMs += minutes * MINUTE_MS
    },
    append: async (id: string, source: string, kind: number, subject: string, isIndexed = true) => {
      const partition = partitionOf(subject, await readPartitionCount(redis.client, 'cio:'))
      const keys = partitionKeys('cio:', partition)
      if (isIndexed) {
        if (listOf(partition).length === 0) await setList(partition, grow([], nowMs))
        const { digests } = digestsOfId(id, source)
        const digest = digests[kind % digests.length] ?? ''
        const buckets = bucketKeysOf(keys, listOf(partition), digest)
        const known = await Promise.all(buckets.map(key => redis.client.hexists(key, memberField(digest))))
        if (known.includes(1)) return
        await redis.client.hset(buckets[0] ?? '', memberField(digest), '')
        // Others share the hash, as in an index of ordinary size.
        await redis.client.hset(buckets[0] ?? '', 'another', '')
      }
      const type = 'io.customer.email.opened'
      const event = JSON.stringify({
        specversion: '1.0',
        id,
        source: `/customerio/${source}`,
        type,
        data: {}
      })
      await redis.client.xadd(keys.events, `${nowMs}-*`, 'type', type, 'event', event)
    },
    /** Every possible hash of the newest generation has something, so that the index is complete for all ids. */
    fill: async (partition: number) => {
      const list = listOf(partition)
      for (const id of [...ids, 'unknown']) {
        for (const digest of ['default', 'shop'].flatMap(source => digestsOfId(id, source).digests)) {
          const [bucket = ''] = bucketKeysOf(partitionKeys('cio:', partition), list.slice(0, 1), digest)
          if (list.length > 0) await redis.client.hset(bucket, 'another', '')
        }
      }
    },
    open: (partition: number) => setList(partition, grow(listOf(partition), nowMs)),
    /** With `crashes`, only the hashes are removed. */
    expire: async (partition: number, windowMinutes: number, crashes: boolean) => {
      const list = listOf(partition)
      const living = list.filter((_, index) => {
        const successor = list[index - 1]
        return successor === undefined || nowMs - successor.openedAtMs < windowMinutes * MINUTE_MS
      })
      for (const { number } of list.filter(generation => !living.includes(generation))) {
        const prefix = partitionKeys('cio:', partition).bucketPrefix(number)
        const buckets = await redis.client.keys(`${prefix.replaceAll(/[[\]]/g, '\\$&')}*`)
        if (buckets.length > 0) await redis.client.del(...buckets)
      }
      if (!crashes) await setList(partition, living)
    },
    trim: (partition: number, minutes: number) =>
      redis.client.xtrim(
        partitionKeys('cio:', partition).events,
        'MINID',
        String(nowMs - minutes * MINUTE_MS)
      )
  }
  return log
}

async function naiveSearch(id: string): Promise<string[]> {
  const found: { partition: number; entry: string }[] = []
  for (let partition = 0; partition < (await readPartitionCount(redis.client, 'cio:')); partition++) {
    for (const [entry, fields] of await redis.client.xrange(`cio:events:{${partition}}`, '-', '+')) {
      if (JSON.parse(fields[3] ?? '').id === id) found.push({ partition, entry })
    }
  }
  return found.map(({ partition, entry }) => `${partition}-${entry}`).sort()
}

const search = (searched: readonly string[], count = 100, before?: LogPosition) =>
  searchEvents(
    { redis: redis.connection, keyPrefix: 'cio:', dedupeWindowMs: 60 * MINUTE_MS },
    { ids: searched, count, before }
  )

/** Of those in use, as a remainder. */
const partition = fc.integer({ min: 0, max: 3 })
const source = fc.constantFrom('default', 'shop')
const id = fc.constantFrom(...ids)
const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant('append' as const), id, source, fc.nat(5), fc.nat(4)) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('pass' as const), fc.integer({ min: 1, max: 45 })) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('fill' as const), partition) },
  { weight: 2, arbitrary: fc.tuple(fc.constant('open' as const), partition) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant('expire' as const),
      partition,
      fc.integer({ min: 5, max: 90 }),
      fc.boolean()
    )
  },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant('trim' as const), partition, fc.integer({ min: 0, max: 60 }))
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant('partitions' as const), fc.integer({ min: 1, max: 4 })) }
)

t.test(
  'ids are found as by a scan of all entries, after rotation, expiry, a crash in it, trimming, and changes of PARTITIONS and of the window',
  async t => {
    const indexed = { absent: 0, part: 0 }
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(id, source, fc.nat(4)), { maxLength: 2 }),
        fc.array(step, { minLength: 5, maxLength: 40 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 3 }),
        async (old, steps, isDense, count) => {
          await redis.client.flushall()
          const log = simulatedLog(isDense)
          if (isDense) for (const partition of [0, 1, 2, 3]) await log.open(partition)
          log.pass(3)
          for (const [id, source, subject] of old) await log.append(id, source, 0, `c${subject}`, false)
          log.pass(3)
          // As `publishSources` writes them, at a time of the test.
          await redis.client.hset(
            'cio:sources',
            'default',
            START_MS + 6 * MINUTE_MS,
            'shop',
            START_MS + 7 * MINUTE_MS
          )
          for (const [name, ...args] of steps) {
            const used = Number(args[0]) % (await readPartitionCount(redis.client, 'cio:'))
            if (name === 'append') {
              const [id, source, kind, subject] = args as [string, string, number, number]
              await log.append(id, source, kind, `c${subject}`)
            } else if (name === 'pass') log.pass(args[0] as number)
            else if (name === 'fill') await log.fill(used)
            else if (name === 'open') await log.open(used)
            else if (name === 'expire') await log.expire(used, args[1] as number, args[2] as boolean)
            else if (name === 'trim') await log.trim(used, args[1] as number)
            else await publishPartitionCount(redis.connection, 'cio:', args[0] as number)
          }
          for (const id of [...ids, 'unknown']) {
            const first = await search([id], count)
            const { isIndexed, searched } = first
            const all = [...first.entries]
            for (let before = first.older; before !== undefined; ) {
              const page = await search([id], count, before)
              all.push(...page.entries)
              before = page.older
            }
            const found = all.map(({ partition, id }) => `${partition}-${id}`).sort()
            const expected = await naiveSearch(id)
            if (found.join() !== expected.join()) throw new Error(`${id}: ${found}, not ${expected}`)
            if (isIndexed) indexed[searched === 0 ? 'absent' : 'part']++
          }
        }
      ),
      { numRuns: 150 }
    )
    t.ok(indexed.absent > 5 && indexed.part > 100, `the index was used: ${JSON.stringify(indexed)}`)
  }
)

t.test('every kind of id that the service appends is in the index, under the name of its source', async t => {
  const folder = t.testdir({
    'sources.json': JSON.stringify({
      sources: [
        { name: 'pointer', secret: 'k-pointer', idPointer: '/message/id' },
        { name: 'header', secret: 'k-header', idHeader: 'x-key' },
        { name: 'pipelines', secret: 'k-pipelines', schemes: ['cdp'], idPointer: '/messageId' }
      ]
    })
  })
  const service = await startTestService({
    REDIS_URL: redis.url,
    CIO_SOURCES_FILE: `${folder}/sources.json`,
    PARTITIONS: '3'
  })
  t.teardown(() => service.close())
  const names = (await readSources(redis.connection, 'cio:'))?.names ?? []
  t.same([...names].sort(), ['default', 'header', 'pipelines', 'pointer'], 'written before the first event')

  const at = (source: string): string => `/api/cio/webhook/${source}`
  const post = async (source: string, body: object | string, headers: Headers = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const signed = source === 'pipelines' ? signCdp(text, 'k-pipelines') : signV0(text, `k-${source}`)
    await service.post(text, { ...signed, ...headers }, at(source))
  }
  await service.post(JSON.stringify({ event_id: 'named' }))
  await service.post(JSON.stringify({ without: 'id' }))
  await service.post('not JSON', { ...signV0('not JSON'), 'user-agent': DOCTOR_USER_AGENT })
  await post('pointer', { message: { id: 42 } })
  await post('pointer', { event_id: 'shown as its digest' })
  await post('header', { event_id: 'not used' }, { 'x-key': 'a key' })
  await post('pipelines', { messageId: 'aws-1', type: 'track', userId: '1' })
  // Its id in the log is a hash of which the digest cannot be calculated.
  await service.post(JSON.stringify({ event_id: 'ada@example.com' }))

  const { entries } = await searchEvents(
    { redis: redis.connection, keyPrefix: 'cio:', dedupeWindowMs: 60 * MINUTE_MS },
    { count: 100 }
  )
  t.equal(entries.length, 8)
  for (const { partition, event } of entries) {
    const { id, source, data } = JSON.parse(event)
    const found = await findIds(redis.connection, 'cio:', [id])
    const isHashed = source.endsWith('default') && data.event_id !== undefined && id !== 'named'
    if (isHashed) t.equal(found, undefined, 'everything is searched')
    else t.equal(found?.get(partition)?.remembered.length, 1, `${source}: ${id}`)
    t.equal((await search([id])).entries.length, 1)
  }
})

t.test('the index is not used where it may have lost ids, or sources are unknown', async t => {
  const find = () => findIds(redis.connection, 'cio:', ['e1'])
  t.equal(await find(), undefined, 'no source is published')
  await publishSources(redis.connection, 'cio:', ['default'])
  t.ok(await find())
  t.equal(
    await findIds(
      redis.connection,
      'cio:',
      Array.from({ length: 21 }, (_, index) => `e${index}`)
    ),
    undefined
  )

  await redis.client.config('SET', 'maxmemory-policy', 'allkeys-random', 'maxmemory', '1')
  t.teardown(() => redis.client.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction'))
  await redis.client.set('evicted', '1').catch(() => undefined)
  await redis.client.config('SET', 'maxmemory', '0')
  await publishSources(redis.connection, 'cio:', ['default'])
  t.equal(await find(), undefined, 'Redis has evicted keys')
})
