import t from 'tap'
import { singleFlight } from '../../src/async/single-flight.ts'

t.test(
  'callers share work that is running; when it has ended, also with an error, the next call starts anew',
  async t => {
    let started = 0
    const work = singleFlight(async () => {
      const number = ++started
      await new Promise(resolve => setImmediate(resolve))
      if (number === 2) throw new Error('the second fails')
      return number
    })
    t.same(await Promise.all([work(), work(), work()]), [1, 1, 1])
    const failed = await Promise.allSettled([work(), work()])
    t.same(
      failed.map(({ status }) => status),
      ['rejected', 'rejected']
    )
    t.equal(await work(), 3)
    t.equal(started, 3)
  }
)
