import type { ServerResponse } from 'node:http'
import t from 'tap'
import { createEventBudget } from '../../../src/group/event-budget.ts'
import { appendEvent } from '../../helpers/log.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { httpSettings, ids, idsAt, openConsumer, untilDone, waiting } from './open-consumer.ts'

for (const { circumstance, spentBytes, concurrency, held } of [
  { circumstance: 'the budget is not spent', spentBytes: 1024 * 1024, concurrency: 1, held: 120 },
  { circumstance: 'other consumers have spent the budget', spentBytes: 0, concurrency: 1, held: 50 },
  {
    circumstance: 'it is spent, and many requests may be in flight',
    spentBytes: 0,
    concurrency: 40,
    held: 80
  }
]) {
  t.test(`${circumstance}: ${held} of 120 events are read ahead, and all arrive`, async t => {
    const redis = await startRedis()
    const open: ServerResponse[] = []
    const receiver = await startReceiver((_request, response) => void open.push(response))
    const settings = httpSettings(receiver, { concurrency, timeoutMs: 60_000 })
    const budget = createEventBudget(spentBytes)
    const { queue, close } = await openConsumer(redis, settings, undefined, undefined, budget)
    t.teardown(async () => {
      await close()
      await receiver.stop()
      await redis.stop()
    })
    for (const id of ids('event', 120)) await appendEvent(redis.client, { id })
    await until('all requests', async () => open.length === concurrency)
    await until('the events are read', async () => (await waiting(redis)).pending >= held)
    // Long enough for a further read.
    await new Promise(resolve => setTimeout(resolve, 200))
    t.strictSame(await waiting(redis), { pending: held, lag: 120 - held })

    receiver.behave(answers(204))
    for (const response of open) response.writeHead(204).end()
    await untilDone(redis, queue)
    t.equal(new Set(idsAt(receiver)).size, 120)
    t.ok(receiver.requests.length === 120, 'each once')
  })
}
