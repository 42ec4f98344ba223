import t from 'tap'
import { createSemaphore } from '../../src/async/semaphore.ts'

const { signal } = new AbortController()

t.test('permits beyond the limit are granted in order, as others are released', async t => {
  const semaphore = createSemaphore(2)
  const granted: number[] = []
  const acquire = (index: number): Promise<unknown> =>
    semaphore.acquire(signal).then(acquired => acquired && granted.push(index))
  const all = [1, 2, 3, 4].map(acquire)
  await Promise.all(all.slice(0, 2))
  t.same(granted, [1, 2])
  semaphore.release()
  await all[2]
  t.same(granted, [1, 2, 3])
  semaphore.release()
  await all[3]
  t.same(granted, [1, 2, 3, 4])
})

t.test('an abort ends the wait, and takes no permit', async t => {
  const semaphore = createSemaphore(1)
  const waiting = new AbortController()
  t.equal(await semaphore.acquire(signal), true)
  const aborted = semaphore.acquire(waiting.signal)
  waiting.abort()
  t.equal(await aborted, false)
  t.equal(await semaphore.acquire(waiting.signal), false, 'nor does one that is aborted already')
  semaphore.release()
  t.equal(await semaphore.acquire(signal), true)
})
