import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { mapLimited } from '../../src/async/map-limited.ts'

t.test('100 items are mapped in their order, at most 7 at once', async t => {
  let running = 0
  let most = 0
  const items = Array.from({ length: 100 }, (_, index) => index)
  const results = await mapLimited(items, 7, async item => {
    most = Math.max(most, ++running)
    await sleep((item * 7) % 5)
    running--
    return item * 2
  })
  t.same(
    results,
    items.map(item => item * 2)
  )
  t.equal(most, 7)
  t.same(await mapLimited([], 7, async () => 1), [])
})

t.test('after an item failed, no further one is begun', async t => {
  const begun: number[] = []
  const work = mapLimited([1, 2, 3, 4, 5, 6], 2, async item => {
    begun.push(item)
    await sleep(1)
    if (item === 2) throw new Error('two')
  })
  await t.rejects(work, { message: 'two' })
  await sleep(10)
  t.ok(begun.length <= 3, begun.join())
})
