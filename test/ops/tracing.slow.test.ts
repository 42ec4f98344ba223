import { AsyncLocalStorage } from 'node:async_hooks'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Context, context, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { AlwaysOnSampler, BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import t from 'tap'
import { createConsumer } from '../../src/consume/consumer.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { type JaegerSpan, startJaeger, tag } from '../helpers/jaeger.ts'
import { type ServiceProcess, startServiceProcess } from '../helpers/process.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import { postTo } from '../helpers/service.ts'
import { signV0, WEBHOOK_PATH } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const jaeger = await startJaeger(process.env['JAEGER'] ?? 'jaeger')
t.teardown(() => jaeger.stop())

const bodyOf = (id: string): string =>
  `{"event_id":"${id}","object_type":"email","metric":"opened","data":{"customer_id":"4711"}}`
const deliver = ({ url }: ServiceProcess, id: string) =>
  postTo(url + WEBHOOK_PATH, bodyOf(id), signV0(bodyOf(id)))
const start = (env: Record<string, string>) =>
  startServiceProcess({ REDIS_URL: redis.url, CIO_ALLOWED_IPS: '127.0.0.1', ...env })
const lines = (service: ServiceProcess) =>
  service
    .output()
    .split('\n')
    .filter(line => line.startsWith('{'))
    .map(line => JSON.parse(line))
const stop = async (service: ServiceProcess): Promise<number> => {
  const startedMs = performance.now()
  service.process.kill('SIGTERM')
  t.equal(await service.ended, 0)
  return performance.now() - startedMs
}
const eventOf = async (id: string) => {
  const entries = await redis.client.xrange('cio:events:{0}', '-', '+')
  const events = entries.map(([, fields]) => JSON.parse(fields[fields.indexOf('event') + 1] ?? ''))
  return events.find(event => event.id === id)
}

/** The SDK of a program that uses the consumer library. */
function startOwnSdk() {
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
  const exporter = new OTLPTraceExporter({ url: `${jaeger.endpoint}/v1/traces` })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'crm-program' }),
    sampler: new AlwaysOnSampler(),
    spanProcessors: [new BatchSpanProcessor({ exporter })]
  })
  trace.setGlobalTracerProvider(provider)
  return provider
}

t.test('one trace leads from the delivery to the receiver of a push and to a library consumer', async t => {
  const receiver = await startReceiver(answers(204))
  t.teardown(() => receiver.stop())
  const sdk = startOwnSdk()
  const consumer = createConsumer({ redisUrl: redis.url, group: 'lib' }, async () => {
    trace.getTracer('program').startSpan('work of the handler').end()
  })
  await consumer.start()
  const service = await start({
    WORKERS: '2',
    OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.endpoint,
    OTEL_SERVICE_NAME: 'webhooks',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
  })
  t.equal((await deliver(service, 'traced')).status, 200)
  const request = await until('the push', async () => receiver.requests[0])
  const [, traceId = '', sendId, flags] = (request.headers['traceparent'] ?? '').split('-')
  t.equal(flags, '01', 'the receiver records it too')
  // Of either worker.
  const scrape = await fetch(`${service.url}/metrics`, {
    headers: { accept: 'application/openmetrics-text' }
  })
  const exemplars = [...(await scrape.text()).matchAll(/^(\w+)_seconds_bucket\{.*trace_id="(\w+)"/gm)]
  t.same(
    exemplars.map(([, metric, id]) => [metric, id]),
    [
      ['cio_delivery_duration', traceId],
      ['cio_redis_call_duration', traceId]
    ]
  )
  await consumer.stop()
  await sdk.shutdown()
  // The spans of the service wait for at most five seconds: its stop sends them.
  await stop(service)
  const spans = await until('five spans', async () => {
    const found = await jaeger.spansOf(traceId)
    return found.length >= 5 && found
  })
  t.equal(spans.length, 5)
  const named = (name: string): JaegerSpan => {
    const span = spans.find(({ operationName }) => operationName === name)
    if (span === undefined) throw new Error(`no span ${name}`)
    return span
  }
  const parentOf = ({ references }: JaegerSpan) =>
    references.find(({ refType }) => refType === 'CHILD_OF')?.spanID
  const linksOf = ({ references }: JaegerSpan) =>
    references.filter(({ refType }) => refType === 'FOLLOWS_FROM').map(({ spanID }) => spanID)
  const server = named('POST /api/cio/webhook')
  const append = named('append events')
  const [send, handled] = [named('send crm'), named('process lib')]
  t.same(parentOf(server), undefined)
  t.equal(tag(server, 'span.kind'), 'server')
  t.equal(parentOf(append), server.spanID)
  t.ok(append.startTime >= server.startTime)
  t.ok(append.startTime + append.duration <= server.startTime + server.duration + 1000)
  t.equal((await eventOf('traced')).traceparent, `00-${traceId}-${append.spanID}-01`)
  t.equal(send.spanID, sendId)
  // Jaeger shows a span that is both the parent and linked as linked.
  for (const span of [send, handled]) t.same(linksOf(span), [append.spanID])
  t.equal(parentOf(named('work of the handler')), handled.spanID)
  const line = lines(service).find(({ id }) => id === 'traced')
  t.match(line, { trace_id: traceId, span_id: server.spanID })
  t.notMatch(JSON.stringify(spans), /4711|\?|whsec/, 'nothing personal, no query, no secret')
  t.strictSame([...(await jaeger.services())].sort(), ['crm-program', 'webhooks'])
})

t.test('the sampler decides, and of what is not recorded nothing leaves', async t => {
  const service = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.endpoint,
    OTEL_SERVICE_NAME: 'unsampled',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0'
  })
  t.equal((await deliver(service, 'unsampled')).status, 200)
  await stop(service)
  t.notHas(await eventOf('unsampled'), { traceparent: String })
  t.notHas(
    lines(service).find(({ id }) => id === 'unsampled'),
    { trace_id: String }
  )
  t.notOk((await jaeger.services()).includes('unsampled'))
})

t.test('the SDK is loaded only where the variables ask for it', async t => {
  // prom-client loads the API, which does nothing without an SDK.
  const hook = join(temporaryFolder(), 'hook.mjs')
  writeFileSync(
    hook,
    `import { registerHooks } from 'node:module'
     registerHooks({ resolve(name, context, next) {
       if (/^@opentelemetry\\/(?!api$)/.test(name)) process.stderr.write('LOADED ' + name + '\\n')
       return next(name, context)
     } })`
  )
  const loadedWith = async (env: Record<string, string>) => {
    const service = await start({ NODE_OPTIONS: `--import=${hook}`, ...env })
    t.equal((await deliver(service, 'loaded')).status, 200)
    await stop(service)
    return [...service.output().matchAll(/LOADED .*/g)].map(([line]) => line)
  }
  t.same(await loadedWith({ OTEL_SERVICE_NAME: 'webhooks' }), [])
  t.same(await loadedWith({ OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.endpoint, OTEL_SDK_DISABLED: 'true' }), [])
  const loaded = await loadedWith({ OTEL_EXPORTER_OTLP_ENDPOINT: jaeger.endpoint })
  t.ok(loaded.includes('LOADED @opentelemetry/sdk-trace'), 'the hook works')
})

t.test('a collector that refuses or never answers costs one line, and delays nothing', async t => {
  const silent = createServer(socket => socket.on('error', () => {}))
  const silentPort = await freePort()
  await new Promise<void>(resolve => silent.listen(silentPort, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  for (const [name, port] of [
    ['refuses', await freePort()],
    ['is silent', silentPort]
  ] as const) {
    const service = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: '1000',
      OTEL_BSP_SCHEDULE_DELAY: '100'
    })
    let slowestMs = 0
    for (let count = 0; count < 50; count++) {
      const startedMs = performance.now()
      t.equal((await deliver(service, `${name}-${count}`)).status, 200)
      slowestMs = Math.max(slowestMs, performance.now() - startedMs)
      await new Promise(resolve => setTimeout(resolve, 60))
    }
    t.ok(slowestMs < 1000, `${name}: the slowest delivery took ${Math.round(slowestMs)} ms`)
    const stopMs = await stop(service)
    t.ok(stopMs < 2500, `${name}: the stop took ${Math.round(stopMs)} ms`)
    const warnings = lines(service).filter(({ collector, level }) => collector && level === 'warn')
    t.match(warnings, [{ collector: `http://127.0.0.1:${port}`, code: String, spans: Number }])
    t.equal(warnings.length, 1, name)
  }
})
