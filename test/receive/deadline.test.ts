import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { freeze } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

const redis = await startRedis()
t.teardown(() => redis.stop('SIGKILL'))

/** Holds the event loop, as a long computation or a machine that is busy with others does. */
const block = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

t.test(
  'an answer that is ready wins, though its deadline fell due while the event loop was held',
  async t => {
    const service = await startTestService({ REDIS_URL: redis.url })
    t.teardown(() => service.close())
    await service.post('{"event_id":"warm-up"}')
    // The reply comes while the loop is held: both the command's time limit (2 s) and the delivery's pass meanwhile.
    await redis.client.client('PAUSE', 400, 'ALL')
    const answer = service.post('{"event_id":"ready"}')
    await sleep(200)
    block(3500)
    t.match(await answer, { status: 200, body: { status: 'accepted', id: 'ready' } })
    t.equal((await service.post('{"event_id":"ready"}')).body['status'], 'duplicate')
  }
)

t.test('without an answer it is refused in time', async t => {
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  await freeze(redis)
  t.teardown(() => redis.process.kill('SIGCONT'))
  const started = performance.now()
  t.equal((await service.post('{"event_id":"late"}')).status, 503)
  t.ok(performance.now() - started < 3500)
})

t.test('large bodies are worked on in turns: small ones do not wait for all of them', async t => {
  redis.process.kill('SIGCONT')
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  const finished: string[] = []
  const post = async (id: string, bytes: number): Promise<void> => {
    const text = 'a b c 1 2 3 '.repeat(bytes / 12)
    const answer = await service.post(JSON.stringify({ event_id: id, data: { text } }))
    t.match([200, 503].includes(answer.status), true, id)
    finished.push(id)
  }
  const large = Array.from({ length: 6 }, (_, n) => post(`large-${n}`, 4 * 1024 * 1024))
  await sleep(50)
  await Promise.all([...large, post('small', 12)])
  t.not(finished.at(-1), 'small', finished.join(' '))
})
