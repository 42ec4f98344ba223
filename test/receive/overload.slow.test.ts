import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())

t.test(
  'while turns of the event loop take seconds, new deliveries are refused, and accepted afterwards',
  async t => {
    const service = await startTestService({ REDIS_URL: redis.url, CIO_ALLOWED_IPS: '127.0.0.1' })
    t.teardown(() => service.close())
    const body = JSON.stringify({ event_id: 'busy', object_type: 'email', metric: 'sent' })
    t.equal((await service.post(body)).status, 200)

    for (let turn = 0; turn < 3; turn++) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500)
      await nextTurn()
    }
    const refused = await service.post(body)
    t.match(refused, { status: 503, body: { code: 'CIO_UNAVAILABLE' } })
    const line = service.logLines().findLast(entry => entry['msg'] === 'delivery')
    t.match(line, { outcome: 'unavailable', reason: 'overloaded', status: 503 })

    await until('accepted again', async () => (await service.post(body)).status === 200, 10_000)
  }
)
