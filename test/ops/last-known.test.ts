import t from 'tap'
import { createLastKnown } from '../../src/ops/last-known.ts'

t.test('a list that cannot be read stays as it was, and its time too', async t => {
  const answers: (readonly string[] | Error)[] = [new Error('down'), ['a'], new Error('down'), []]
  let nowMs = 0
  const known = createLastKnown(
    async () => {
      const answer = answers.shift() ?? []
      if (answer instanceof Error) throw answer
      return answer
    },
    () => nowMs
  )
  const seen = []
  for (nowMs = 1; nowMs <= 4; nowMs++) seen.push([await known.read(), known.readAtMs()])
  t.same(seen, [
    [[], undefined],
    [['a'], 2],
    [['a'], 2],
    [[], 4]
  ])
})

t.test('callers at the same time share one reading', async t => {
  let reads = 0
  const known = createLastKnown(async () => [++reads])
  t.same(await Promise.all([known.read(), known.read()]), [[1], [1]])
  t.same(await known.read(), [2])
})
