import t from 'tap'
import { createKeyedQueue } from '../../src/async/keyed-queue.ts'

t.test('jobs of one key run in order, those of different keys concurrently', async t => {
  const done: string[] = []
  let running = 0
  let most = 0
  let finish = (): void => {}
  const afterB2 = new Promise<void>(resolve => {
    finish = resolve
  })
  const queue = createKeyedQueue<string>(async job => {
    most = Math.max(most, ++running)
    await (job === 'a1' ? afterB2 : Promise.resolve())
    done.push(job)
    running--
    if (job === 'b2') finish()
    if (job === 'a2') queue.add('a', 'a4')
  })
  for (const job of ['a1', 'a2', 'b1', 'a3', 'b2']) queue.add(job.slice(0, 1), job)
  await queue.idle()
  t.same(done, ['b1', 'b2', 'a1', 'a2', 'a3', 'a4'])
  t.equal(most, 2)
  await queue.idle()
  queue.add('a', 'a5')
  await queue.idle()
  t.equal(done.at(-1), 'a5', 'a key can be used again')
})
