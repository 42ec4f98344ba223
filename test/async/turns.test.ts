import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { createTurns } from '../../src/async/turns.ts'

t.test('between two callers everything else that is ready has its turn', async t => {
  const turn = createTurns()
  const order: string[] = []
  const callers = ['first', 'second', 'third'].map(async name => {
    await turn()
    order.push(name)
  })
  for (let n = 0; n < 3; n++) {
    await nextTurn()
    order.push('others')
  }
  await Promise.all(callers)
  t.same(order, ['others', 'first', 'others', 'second', 'others', 'third'])
})
