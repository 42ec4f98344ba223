import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createDeadlines } from '../../../src/dispatch/http/deadlines.ts'

t.test('each item expires after its own time, unless it was deleted', async t => {
  const startedMs = performance.now()
  const expired: [string, number][] = []
  const deadlines = createDeadlines<string>(100, item => {
    expired.push([item, performance.now() - startedMs])
  })
  deadlines.add('first')
  deadlines.add('deleted')
  deadlines.delete('deleted')
  await sleep(60)
  deadlines.add('second')
  t.same(deadlines.all(), ['first', 'second'])
  await sleep(300)
  t.same(
    expired.map(([item]) => item),
    ['first', 'second']
  )
  const [[, firstMs] = ['', 0], [, secondMs] = ['', 0]] = expired
  t.ok(firstMs >= 98 && firstMs < 1000, `${firstMs} ms`)
  t.ok(secondMs >= 158 && secondMs - firstMs >= 40, `${secondMs} ms`)
  t.same(deadlines.all(), [])

  deadlines.add('later')
  await sleep(300)
  t.equal(expired.at(-1)?.[0], 'later', 'also after all had expired')
})
