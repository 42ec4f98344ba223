import fc from 'fast-check'
import t from 'tap'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { postText, sendRaw } from '../helpers/raw-http.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'
import { signV0 } from '../helpers/sign.ts'
import { tracingInMemory } from '../helpers/tracing.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const receiver = await startReceiver(answers(204))
t.teardown(() => receiver.stop())

const CALLER = '4bf92f3577b34da6a3ce929d0e0e4736'
const TRACEPARENT = `00-${CALLER}-00f067aa0ba902b7-01`

const bodyOf = (id: string): string =>
  `{"event_id":"${id}","object_type":"email","metric":"opened","data":{"customer_id":"4711","recipient":"a@example.com"}}`

/** Only from the address of the tests; behind a proxy there. */
const behindProxy = { TRUSTED_PROXIES: '127.0.0.1', CIO_ALLOWED_IPS: '192.0.2.0/24' }
const start = async (env: Record<string, string>) => {
  const tracing = tracingInMemory()
  const service = await startTestService({ REDIS_URL: redis.url, ...env }, { tracing })
  return { service, spans: tracing.spans }
}
/** One of the newest events: with thousands of them, reading all each time would take minutes. */
const eventOf = async (id: string) => {
  const entries = await redis.client.xrevrange('cio:events:{0}', '+', '-', 'COUNT', 10)
  const events = entries.map(([, fields]) => JSON.parse(fields[fields.indexOf('event') + 1] ?? ''))
  return events.find(event => event.id === id)
}
const lineOf = (service: TestService, id: string) => service.logLines().find(line => line['id'] === id)

t.test('a delivery has a span, its append another, whose context is stored and sent on', async t => {
  const { service, spans } = await start({
    CIO_ALLOWED_IPS: '127.0.0.1',
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
  })
  t.teardown(() => service.close())
  t.equal(
    (await service.post(bodyOf('s1'), { ...signV0(bodyOf('s1')), traceparent: TRACEPARENT })).status,
    200
  )
  const request = await until('the push', async () => receiver.requests[0])
  await until('three spans', async () => spans.length === 3)
  const [append, server, send] = spans
  t.match(server, {
    name: 'POST /api/cio/webhook',
    kind: 'server',
    parentId: undefined,
    attributes: { 'http.response.status_code': 200, 'cio.outcome': 'accepted', 'cloudevents.event_id': 's1' }
  })
  t.not(server?.traceId, CALLER, 'the sender is not a trusted proxy')
  t.match(append, { name: 'append events', kind: 'producer', parentId: server?.spanId })
  const { traceparent } = await eventOf('s1')
  t.equal(traceparent, `00-${server?.traceId}-${append?.spanId}-01`)
  t.match(send, {
    name: 'send crm',
    kind: 'client',
    parentId: append?.spanId,
    links: [{ traceparent }],
    attributes: { 'http.response.status_code': 204, 'cloudevents.event_type': 'io.customer.email.opened' }
  })
  t.equal(request.headers['traceparent'], `00-${server?.traceId}-${send?.spanId}-01`)
  t.match(lineOf(service, 's1'), { outcome: 'accepted', trace_id: server?.traceId, span_id: server?.spanId })
  t.notMatch(JSON.stringify(spans), /4711|example\.com|127\.0\.0\.1:?\d*"?,"cio/, 'nothing personal')
  const retry = await service.post(bodyOf('s1'))
  t.equal(retry.body['status'], 'duplicate')
  t.match(spans.at(-1)?.attributes, { 'cio.outcome': 'duplicate' })
})

t.test('without traces, nothing is stored, logged or sent', async t => {
  const before = receiver.requests.length
  const service = await startTestService({
    REDIS_URL: redis.url,
    CIO_ALLOWED_IPS: '127.0.0.1',
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
  })
  t.teardown(() => service.close())
  await service.post(bodyOf('off'), { ...signV0(bodyOf('off')), traceparent: TRACEPARENT })
  const request = await until('the push', async () => receiver.requests[before])
  t.notHas(request.headers, { traceparent: String })
  t.notHas(await eventOf('off'), { traceparent: String })
  t.notHas(lineOf(service, 'off') ?? {}, { trace_id: String })
})

t.test('a trace that a trusted proxy has begun is continued', async t => {
  const { service, spans } = await start(behindProxy)
  t.teardown(() => service.close())
  const headers = { 'x-forwarded-for': '192.0.2.7', traceparent: TRACEPARENT, tracestate: 'vendor=1' }
  await service.post(bodyOf('p1'), { ...signV0(bodyOf('p1')), ...headers })
  t.match(spans[1], { traceId: CALLER, parentId: '00f067aa0ba902b7' })
  t.match(await eventOf('p1'), { traceparent: new RegExp(`^00-${CALLER}-`), tracestate: 'vendor=1' })
  const personal = { ...headers, tracestate: 'vendor=ann@example.com' }
  await service.post(bodyOf('p2'), { ...signV0(bodyOf('p2')), ...personal })
  t.match(await eventOf('p2'), { traceparent: new RegExp(`^00-${CALLER}-`), tracestate: undefined })
})

t.test('a delivery without a valid signature has no span, whatever traceparent it has', async t => {
  const { service, spans } = await start(behindProxy)
  t.teardown(() => service.close())
  const headers = { 'x-forwarded-for': '192.0.2.7', traceparent: TRACEPARENT }
  const answer = await service.post(bodyOf('u1'), { ...headers, 'x-cio-signature': 'ab'.repeat(32) })
  t.equal(answer.status, 401)
  t.equal(spans.length, 0)
})

t.test('a delivery that is parked, or cannot be appended, ends its spans with the reason', async t => {
  const own = await startRedis()
  const { service, spans } = await start({ CIO_ALLOWED_IPS: '127.0.0.1', REDIS_URL: own.url })
  t.teardown(() => service.close())
  t.equal((await service.post('not json')).body['status'], 'parked')
  t.match(spans, [
    { name: 'append parked' },
    { attributes: { 'cio.outcome': 'parked', 'cio.reason': 'not_json' } }
  ])
  await own.stop()
  const answer = await service.post(bodyOf('f1'))
  t.equal(answer.status, 503)
  const [append, server] = spans.slice(-2)
  t.match(append?.error, /^redis_/)
  t.match(server, { attributes: { 'cio.outcome': 'unavailable', 'http.response.status_code': 503 } })
  t.match(server?.error, /^redis_/)
})

t.test(
  'for any traceparent and tracestate, the event is valid and its trace has at most 700 bytes',
  async t => {
    const { service } = await start(behindProxy)
    t.teardown(() => service.close())
    const hex = fc.constantFrom(...'0123456789abcdefABCDEF-')
    const headerValue = fc
      .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 3000 })
      .map(bytes => String.fromCharCode(...bytes.filter(byte => byte !== 0x7f)))
    const traceparent = fc.oneof(
      headerValue,
      fc.string({ unit: hex, maxLength: 80 }).map(text => `00-${text}`),
      fc.constant(TRACEPARENT)
    )
    const tracestate = fc.oneof(
      headerValue,
      fc.string({ maxLength: 600, unit: fc.constantFrom(...'a=1,@" \\') })
    )
    let made = 0
    await fc.assert(
      fc.asyncProperty(traceparent, tracestate, async (traceparent, tracestate) => {
        const id = `any-${made++}`
        const headers = { 'x-forwarded-for': '192.0.2.7', traceparent, tracestate }
        const answer = await sendRaw(
          service.port,
          postText(bodyOf(id), { ...signV0(bodyOf(id)), ...headers })
        )
        const event = await eventOf(id)
        const trace = JSON.stringify({ a: event.traceparent, b: event.tracestate })
        return (
          answer.status === 200 &&
          event.data.event_id === id &&
          /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/.test(event.traceparent) &&
          (event.tracestate === undefined || /^[\x20-\x7e]+$/.test(event.tracestate)) &&
          trace.length <= 700
        )
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 20) }
    )
  }
)
