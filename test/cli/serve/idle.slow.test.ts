import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startServiceProcess } from '../../helpers/process.ts'
import { startRedis } from '../../helpers/redis.ts'

t.setTimeout(600_000)

/** Until what the start has set in motion is done. */
const SETTLE_MS = 5000
const MEASURED_SECONDS = 10

t.test('an idle process that is connected to Redis wakes up at most 20 times per second', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const service = await startServiceProcess({ NODE_ENV: 'production', REDIS_URL: redis.url })
  t.teardown(() => service.process.kill('SIGKILL'))
  await sleep(SETTLE_MS)
  const before = wakeUps()
  await sleep(MEASURED_SECONDS * 1000)
  const perSecond = (wakeUps() - before) / MEASURED_SECONDS
  t.comment(`${perSecond} per second`)
  t.ok(perSecond <= 20)

  /** Each wait of the event loop for the next timer or for input is a voluntary context switch. */
  function wakeUps(): number {
    const { pid } = service.process
    return Number(
      /^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${pid}/status`, 'utf8'))?.[1]
    )
  }
})
