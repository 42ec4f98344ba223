import t from 'tap'
import { appendEvent } from '../../helpers/log.ts'
import { answers } from '../../helpers/receiver.ts'
import { until } from '../../helpers/server.ts'
import { ids, idsAt, openConsumer, push, untilDone, waiting } from './open-consumer.ts'

t.test('strict: later events of a customer wait until the failed one is delivered', async t => {
  const { receiver, redis, queue, outcomes } = await push(
    t,
    (request, response, count) =>
      void response.writeHead(request.headers['webhook-id'] === 'first' && count < 5 ? 500 : 200).end(),
    { order: 'strict', retryDelayMs: 100, maxRetryDelayMs: 100, maxAttempts: 10 }
  )
  for (const id of ['first', 'second', 'third']) await appendEvent(redis.client, { id, subject: 'one' })
  await appendEvent(redis.client, { id: 'other', subject: 'two' })
  await untilDone(redis, queue)
  t.same(
    idsAt(receiver).filter(id => id !== 'first' && id !== 'other'),
    ['second', 'third']
  )
  t.ok(idsAt(receiver).lastIndexOf('first') < idsAt(receiver).indexOf('second'))
  t.ok(idsAt(receiver).indexOf('other') < idsAt(receiver).lastIndexOf('first'), 'other customers do not wait')
  t.equal(outcomes.filter(outcome => outcome === 'failed').length, 3)
})

t.test('strict: they follow when it is a dead letter, with all its attempts', async t => {
  const { receiver, redis, queue, dead } = await push(
    t,
    (request, response) =>
      void response.writeHead(request.headers['webhook-id'] === 'first' ? 500 : 200).end(),
    { order: 'strict', maxAttempts: 3 }
  )
  for (const id of ['first', 'second']) await appendEvent(redis.client, { id, subject: 'one' })
  await untilDone(redis, queue)
  t.same(idsAt(receiver), ['first', 'first', 'first', 'second'])
  const [letter] = await dead.list('crm', 10)
  t.match(letter, { reason: 'failed', attempts: 3, error: 'status 500' })
  t.same(
    letter?.lastAttempts.map(({ attempt }) => attempt),
    [1, 2, 3]
  )
})

t.test('strict: attempts are counted in Redis, and the next process continues', async t => {
  const { redis, append, consumer, settings, outcomes, dead } = await push(t, answers(500), {
    order: 'strict',
    maxAttempts: 3,
    retryDelayMs: 60_000,
    maxRetryDelayMs: 60_000
  })
  await append('event')
  await until('failed', async () => outcomes.length === 1)
  await consumer.stop()
  const second = await openConsumer(redis, settings)
  t.teardown(() => second.close())
  await until('failed again', async () => second.outcomes.length === 1)
  await second.consumer.stop()
  const third = await openConsumer(redis, settings)
  t.teardown(() => third.close())
  await until('a dead letter', async () => (await dead.count('crm')) === 1)
  t.match(await dead.list('crm', 1), [{ attempts: 3 }])
})

t.test('strict: after an outage, events that failed do not wait for the rest of their pause', async t => {
  const { receiver, redis, append, queue, outcomes } = await push(t, answers(503), {
    order: 'strict',
    maxAttempts: 12,
    concurrency: 5,
    retryDelayMs: 500,
    maxRetryDelayMs: 60_000
  })
  await append(...ids('down', 50))
  await until('it is down', async () => outcomes.length >= 8)
  t.equal((await queue.outstanding()).count, 0, 'none is queued')
  t.equal((await waiting(redis)).pending, 50)
  receiver.behave(answers(200))
  await untilDone(redis, queue, 10_000)
})

t.test(
  'strict: a consumer that is down is probed with the only event, although its pause is not over',
  async t => {
    const { receiver, append, redis, queue } = await push(
      t,
      (_request, response, count) => {
        if (count <= 2) response.socket?.resetAndDestroy()
        else response.writeHead(200).end()
      },
      { order: 'strict', retryDelayMs: 700, maxRetryDelayMs: 60_000, maxAttempts: 12 }
    )
    await append('only')
    await untilDone(redis, queue, 10_000)
    const [, second, third] = receiver.requests
    t.ok(second !== undefined && third !== undefined)
    if (second !== undefined && third !== undefined) {
      const afterMs = third.atMs - second.atMs
      t.ok(afterMs < 1200, `${afterMs} ms: the pause before a probe, not before the next attempt (2100 ms)`)
    }
  }
)
