import t from 'tap'
import { compareIds, readEntries, type StreamEntry } from '../../src/log/read-range.ts'
import { startRedis } from '../helpers/redis.ts'

const { client, stop } = await startRedis()
t.teardown(() => stop())
t.beforeEach(() => client.flushall())

const ENTRIES = 1203

/** Appends entries `<n>-0` to a partition. The event is their number. */
async function fill(partition: number, numbers: readonly number[]): Promise<void> {
  const pipeline = client.pipeline()
  for (const n of numbers)
    pipeline.xadd(`cio:events:{${partition}}`, `${n}-0`, 'type', 't', 'event', String(n))
  await pipeline.exec()
}
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)
const events = (entries: readonly StreamEntry[]): number[] => entries.map(({ event }) => Number(event))

async function read(range: { from: string; to: string }): Promise<{ pages: number; events: number[] }> {
  const found: number[] = []
  let pages = 0
  for await (const page of readEntries(client, 'cio:', { stream: 'events', partition: 0, ...range })) {
    pages++
    found.push(...events(page))
  }
  return { pages, events: found }
}

t.test('a partition is read page by page, each entry once, in order', async t => {
  t.same(await read({ from: '-', to: '+' }), { pages: 0, events: [] }, 'nothing yet')
  await fill(0, upTo(ENTRIES))
  t.same(await read({ from: '-', to: '+' }), { pages: 3, events: upTo(ENTRIES) })
  t.same(await read({ from: '1000', to: '1002' }), { pages: 1, events: [1000, 1001, 1002] }, 'both included')
  t.same(await read({ from: '(1202-0', to: '+' }), { pages: 1, events: [1203] }, 'after an id')
})

t.test('ids are ordered by their milliseconds, then by their sequence', async t => {
  const sorted = ['9-1', '10-0', '10-2', '10-10']
  t.same([...sorted].reverse().sort(compareIds), sorted)
})
