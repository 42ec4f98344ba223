import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createKeyedQueue } from '../../src/async/keyed-queue.ts'

t.test('jobs of one key run in order, those of different keys concurrently', async t => {
  const done: string[] = []
  let running = 0
  let most = 0
  const queue = createKeyedQueue<string>(async job => {
    most = Math.max(most, ++running)
    await sleep(job === 'a1' ? 30 : 1)
    done.push(job)
    running--
  })
  for (const job of ['a1', 'a2', 'b1', 'a3', 'b2']) queue.add(job.slice(0, 1), job)
  await queue.idle()
  t.same(done, ['b1', 'b2', 'a1', 'a2', 'a3'])
  t.equal(most, 2)
  await queue.idle()
  queue.add('a', 'a4')
  await queue.idle()
  t.equal(done.at(-1), 'a4', 'a key can be used again')
})
