import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { freeze } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

const redis = await startRedis()
t.teardown(() => redis.stop('SIGKILL'))

/** Blocks the event loop like a long computation: timers run first after it. */
const block = (ms: number): void =>
  void setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms))

t.test(
  'an answer that is ready is sent, even if its deadline passed while the event loop was blocked',
  async t => {
    const service = await startTestService({ REDIS_URL: redis.url })
    t.teardown(() => service.close())
    await service.post('{"event_id":"warm-up"}')
    // The reply comes while the loop is blocked. The timeout of the command (2 s) and the deadline pass meanwhile.
    await redis.client.client('PAUSE', 400, 'ALL')
    const answer = service.post('{"event_id":"ready"}')
    await sleep(200)
    block(3500)
    t.match(await answer, { status: 200, body: { status: 'accepted', id: 'ready' } })
    t.equal((await service.post('{"event_id":"ready"}')).body['status'], 'duplicate')
  }
)

t.test('without a reply of Redis a delivery is refused in time', async t => {
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  await freeze(redis)
  t.teardown(() => redis.process.kill('SIGCONT'))
  const started = performance.now()
  t.equal((await service.post('{"event_id":"late"}')).status, 503)
  t.ok(performance.now() - started < 3500)
})
