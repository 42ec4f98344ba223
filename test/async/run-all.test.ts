import t from 'tap'
import { runAll } from '../../src/async/run-all.ts'

t.test('every step runs in turn, also after a failure, and the first error is thrown last', async t => {
  const ran: number[] = []
  const step = (number: number, error?: Error) => async () => {
    ran.push(number)
    if (error !== undefined) throw error
  }
  const error = new Error('first')
  await t.rejects(runAll([step(1), step(2, error), step(3, new Error('second')), step(4)]), error)
  t.same(ran, [1, 2, 3, 4])
  await runAll([step(5)])
})
