import fc from 'fast-check'
import t from 'tap'
import { createMemoryRelief } from '../../src/log/memory-relief.ts'
import { createRetention } from '../../src/log/retention.ts'
import { fill, idsIn, read, setUsedRatio } from '../helpers/memory.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

/*
 * Law 6: nothing unread is trimmed. Appends, reads, acknowledgements, new and deleted groups, memory pressure and
 * retention happen in any order; a model keeps the entries that each group still needs.
 */

/** Each run is about a hundred calls with thousands of entries, so there are fewer runs than of other properties. */
const RUNS = Math.ceil(Number(process.env['PROPERTY_RUNS'] ?? 300) / 20)
t.setTimeout(60_000 + RUNS * 2000)
const STREAM = 'cio:events:{0}'
const GROUPS = ['a', 'b', 'c'] as const

const { client, connection } = await connectedRedis(t)

const relief = createMemoryRelief({
  redis: connection,
  keyPrefix: 'cio:',
  partitions: 1,
  onTrimmed: () => {}
})

const group = fc.constantFrom(...GROUPS)
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append'),
      entries: fc.integer({ min: 1, max: 300 }),
      bytes: fc.constantFrom(10, 200, 1500, 6000)
    })
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('read'), group, entries: fc.constantFrom(3, 100, 2000) })
  },
  // A group acknowledges each of its pending entries with this probability, by a hash of its index.
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('acknowledge'),
      group,
      percent: fc.constantFrom(20, 90, 99, 100),
      salt: fc.nat()
    })
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('create'), group, from: fc.constantFrom('0', '$') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete'), salt: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('destroy'), group }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rewind'), group }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pressure'), ratio: fc.constantFrom(0.81, 0.95, 1.2, 10) })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retention') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('full stream') }) }
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** The entries that a group has not read, and those that it has read but not acknowledged. */
interface Needs {
  readonly unread: Set<string>
  readonly pending: Set<string>
}

class Model {
  readonly groups = new Map<string, Needs>()
  /** Entries of the stream when it was last read, and those appended since. */
  present = new Set<string>()
  /** Number of entries deleted by an operator. */
  deleted = 0

  forget(id: string): void {
    this.present.delete(id)
    this.deleted++
    for (const { unread, pending } of this.groups.values()) {
      unread.delete(id)
      pending.delete(id)
    }
  }

  needed(): Set<string> {
    const needed = new Set<string>()
    for (const { unread, pending } of this.groups.values()) {
      for (const id of [...unread, ...pending]) needed.add(id)
    }
    return needed
  }
}

const isChosen = (index: number, salt: number, percent: number): boolean =>
  Math.imul(index + salt + 1, 0x9e3779b1) >>> 0 < (percent / 100) * 2 ** 32

async function apply(model: Model, step: Step): Promise<void> {
  const of = 'group' in step ? model.groups.get(step.group) : undefined
  switch (step.do) {
    case 'append': {
      for (const id of await fill(client, STREAM, step.entries, step.bytes)) {
        model.present.add(id)
        for (const { unread } of model.groups.values()) unread.add(id)
      }
      return
    }
    case 'read': {
      if (of === undefined) return
      for (const id of await read(client, STREAM, step.group, step.entries)) {
        of.unread.delete(id)
        of.pending.add(id)
      }
      return
    }
    case 'acknowledge': {
      const ids = [...(of?.pending ?? [])].filter((_, index) => isChosen(index, step.salt, step.percent))
      if (ids.length > 0) await client.xack(STREAM, step.group, ...ids)
      for (const id of ids) of?.pending.delete(id)
      return
    }
    case 'create':
      if (of !== undefined) return
      await client.xgroup('CREATE', STREAM, step.group, step.from, 'MKSTREAM')
      model.groups.set(step.group, {
        unread: new Set(step.from === '0' ? model.present : []),
        pending: new Set()
      })
      return
    case 'delete': {
      // By an operator. Redis still counts the entry as pending.
      const ids = [...model.present].filter((_, index) => isChosen(index, step.salt, 30))
      if (ids.length > 0) await client.xdel(STREAM, ...ids)
      for (const id of ids) model.forget(id)
      return
    }
    case 'destroy':
      if (of === undefined) return
      await client.xgroup('DESTROY', STREAM, step.group)
      model.groups.delete(step.group)
      return
    case 'rewind':
      // By an operator, so that a group reads everything again. Pending entries stay pending.
      if (of === undefined) return
      await client.xgroup('SETID', STREAM, step.group, '0')
      model.groups.set(step.group, { unread: new Set(model.present), pending: of.pending })
      return
    case 'pressure': {
      const before = await client.xlen(STREAM)
      await setUsedRatio(client, step.ratio)
      await until('memory is freed', relief.relieve)
      await client.config('SET', 'maxmemory', '0')
      if (model.groups.size === 0 && (await client.xlen(STREAM)) !== before) {
        throw new Error('trimmed without a consumer group')
      }
      return
    }
    default: {
      const full = step.do === 'full stream'
      const retention = createRetention({
        redis: connection,
        keyPrefix: 'cio:',
        partitions: 1,
        windowMs: 60_000,
        retentionMs: full ? 60_000 : 0,
        maxLength: full ? 1 : 1_000_000,
        messageIndex: undefined,
        messageWindowMs: 0,
        limits: { enforce: async () => {} },
        onTrimmed: () => {},
        onError: () => {}
      })
      if (full) await retention.trimForSpace(STREAM)
      else await retention.run()
    }
  }
}

/** @throws if an entry is missing that a group needs */
async function checkStream(model: Model, after: unknown): Promise<void> {
  const present = new Set(await idsIn(client, STREAM))
  const missing = [...model.needed()].filter(id => !present.has(id))
  if (missing.length > 0) throw new Error(`missing after ${JSON.stringify(after)}: ${missing.slice(0, 5)}`)
  model.present = present
}

t.test('no entry that a group needs is trimmed, in any order of operations', async t => {
  let trimmed = 0
  const steps = fc.array(step, { minLength: 10, maxLength: 60, size: 'max' })
  const property = fc.asyncProperty(steps, async steps => {
    await client.config('SET', 'maxmemory', '0')
    await client.flushall()
    const model = new Model()
    for (const group of ['a', 'b'] as const) await apply(model, { do: 'create', group, from: '0' })
    for (const next of steps) {
      await apply(model, next)
      const before = model.present.size
      await checkStream(model, next)
      trimmed += before - model.present.size
    }
    if (model.groups.size === 0) return
    // Under the highest pressure all entries are trimmed that no group needs, except the last one that all groups have
    // read, and as many as were deleted while pending: Redis still counts those.
    await apply(model, { do: 'pressure', ratio: 10 })
    await checkStream(model, 'the highest pressure')
    const needed = model.needed()
    const spare = [...model.present].filter(id => !needed.has(id))
    if (spare.length > 1 + model.deleted)
      throw new Error(`${spare.length} of ${model.present.size} entries are left that no group needs`)
  })
  await fc.assert(property, { numRuns: RUNS })
  t.ok(trimmed > 0, `${trimmed} entries were trimmed in ${RUNS} runs`)
})
