import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createPollingLoop } from '../../src/async/poll.ts'
import { until } from '../helpers/server.ts'

t.test('runs follow each other and never overlap', async t => {
  let running = 0
  let most = 0
  let runs = 0
  const loop = createPollingLoop(async () => {
    most = Math.max(most, ++running)
    runs++
    await sleep(5)
    running--
  }, 1)
  loop.runNow()
  loop.runNow()
  t.equal(runs, 1, 'the first run starts at once, and only once')
  await until('four runs', async () => runs > 3)
  await loop.stop()
  t.equal(most, 1)
})

t.test('start waits for one interval, runNow does not', async t => {
  let runs = 0
  const loop = createPollingLoop(async () => void runs++, 60_000)
  loop.start()
  await sleep(10)
  t.equal(runs, 0)
  loop.runNow()
  t.equal(runs, 1)
  await loop.stop()
})

t.test('the interval is read anew before each wait', async t => {
  const intervals = [1, 1, 60_000]
  let runs = 0
  const loop = createPollingLoop(
    async () => void runs++,
    () => intervals.shift() ?? 60_000
  )
  loop.start()
  await until('two runs', async () => runs === 2)
  await sleep(20)
  t.equal(runs, 2)
  await loop.stop()
})

t.test('an error is reported, and the loop goes on', async t => {
  const errors: unknown[] = []
  const loop = createPollingLoop(
    () => Promise.reject(new Error(`run ${errors.length}`)),
    1,
    error => errors.push(error)
  )
  loop.runNow()
  await until('three errors', async () => errors.length > 2)
  await loop.stop()
  t.match(errors, [{ message: 'run 0' }, { message: 'run 1' }])
})

t.test('stop waits for the current run, and nothing runs after it', async t => {
  let runs = 0
  let finished = false
  const loop = createPollingLoop(async () => {
    runs++
    await sleep(20)
    finished = true
  }, 1)
  loop.runNow()
  t.notOk(loop.isStopped)
  await loop.stop()
  t.ok(finished)
  t.ok(loop.isStopped)
  loop.runNow()
  loop.start()
  await sleep(20)
  t.equal(runs, 1)
})

t.test('loops with long intervals that were started at different times run at the same moments', async t => {
  const runsMs: [number[], number[]] = [[], []]
  const loops = runsMs.map(ownRunsMs =>
    createPollingLoop(async () => void ownRunsMs.push(performance.now()), 500)
  )
  for (const loop of loops) {
    loop.runNow()
    await sleep(90)
  }
  await until('three runs of both', async () => runsMs.every(({ length }) => length > 2))
  await Promise.all(loops.map(loop => loop.stop()))
  const [first, second] = runsMs
  for (const run of [1, 2]) {
    t.ok(Math.abs((first[run] ?? 0) - (second[run] ?? 0)) < 50, `run ${run}`)
  }
  t.ok((first[2] ?? 0) - (first[1] ?? 0) > 350, 'the interval is kept')
})
