import { getEventListeners } from 'node:events'
import t from 'tap'
import { createSemaphore } from '../../src/async/semaphore.ts'

t.test('no more tasks than permits run at once, and the others follow in order of arrival', async t => {
  const { signal } = new AbortController()
  const semaphore = createSemaphore(2)
  const order: number[] = []
  const takes = [0, 1, 2, 3].map(n => semaphore.take(signal).then(() => order.push(n)))
  await Promise.all(takes.slice(0, 2))
  t.same(order, [0, 1])
  semaphore.give()
  await takes[2]
  t.same(order, [0, 1, 2])
  semaphore.give()
  await takes[3]
  semaphore.give()
  semaphore.give()
  t.equal(await semaphore.take(signal), true, 'returned permits can be taken again')
})

t.test('an abort ends the wait, and the permit goes to the next', async t => {
  const [aborted, other] = [new AbortController(), new AbortController()]
  const semaphore = createSemaphore(1)
  await semaphore.take(other.signal)
  const [first, second] = [semaphore.take(aborted.signal), semaphore.take(other.signal)]
  aborted.abort()
  t.equal(await first, false)
  t.equal(await semaphore.take(aborted.signal), false, 'aborted before')
  semaphore.give()
  t.equal(await second, true)
  t.same(getEventListeners(other.signal, 'abort'), [])
})
