import { AsyncLocalStorage } from 'node:async_hooks'
import { type Context, context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import t from 'tap'
import { type CustomerEvent, createConsumer } from '../../src/consume/consumer.ts'
import { processSpans } from '../../src/consume/tracing.ts'
import { appendEvent } from '../helpers/log.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`

/** What an SDK installs, so that a context lasts over an await. */
const storage = new AsyncLocalStorage<Context>()
context.setGlobalContextManager({
  active: () => storage.getStore() ?? ROOT_CONTEXT,
  with: (active, work, self, ...args) => storage.run(active, () => work.call(self as never, ...args)),
  bind: (_, target) => target,
  enable() {
    return this
  },
  disable() {
    return this
  }
})

const event = (traceparent?: unknown) =>
  ({ id: 'e1', type: 'io.customer.email.opened', traceparent }) as CustomerEvent
const activeTrace = () => trace.getSpanContext(context.active())?.traceId

t.test('a handler runs in the trace of its event, also after an await', async t => {
  const run = processSpans('crm')
  const seen = await run(event(TRACEPARENT), 1, async () => {
    await new Promise(resolve => setImmediate(resolve))
    return activeTrace()
  })
  t.equal(seen, TRACE)
})

t.test('an event without a recorded trace is handled without a context', async t => {
  const run = processSpans('crm')
  for (const traceparent of [undefined, TRACEPARENT.replace(/01$/, '00'), 'x', 7]) {
    t.equal(await run(event(traceparent), 1, async () => activeTrace()), undefined)
  }
})

t.test('a rejection of the handler reaches the caller unchanged', async t => {
  const error = new Error('down')
  await t.rejects(
    processSpans('crm')(event(TRACEPARENT), 1, () => Promise.reject(error)),
    error
  )
})

t.test('a consumer continues the trace of an event in the log', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const seen: (string | undefined)[] = []
  const consumer = createConsumer({ redisUrl: redis.url, group: 'crm' }, async () => {
    seen.push(activeTrace())
  })
  await consumer.start()
  t.teardown(() => consumer.stop())
  await appendEvent(redis.client, { id: 'e1', traceparent: TRACEPARENT })
  await until('it is handled', async () => seen.length === 1)
  t.same(seen, [TRACE])
})
