import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createKeyedQueue } from '../../src/async/keyed-queue.ts'

t.test('jobs of one key run in order, one at a time; those of different keys concurrently', async t => {
  const running: string[] = []
  const done: string[] = []
  let most = 0
  const queue = createKeyedQueue<string>(async job => {
    const key = job.slice(0, 1)
    t.notOk(running.includes(key), `${job} alone`)
    running.push(key)
    most = Math.max(most, running.length)
    await sleep(2)
    running.splice(running.indexOf(key), 1)
    done.push(job)
    if (job === 'a2') queue.add('a', 'a3')
  })
  await queue.idle()
  for (const job of ['a1', 'b1', 'a2', 'c1', 'b2']) queue.add(job.slice(0, 1), job)
  await queue.idle()
  t.equal(most, 3)
  for (const [key, jobs] of [
    ['a', ['a1', 'a2', 'a3']],
    ['b', ['b1', 'b2']],
    ['c', ['c1']]
  ] as const) {
    t.same(
      done.filter(job => job.startsWith(key)),
      jobs
    )
  }
})
