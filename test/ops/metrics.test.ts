import { readFileSync } from 'node:fs'
import t from 'tap'
import { createMetrics } from '../../src/ops/metrics.ts'
import { samplesOf } from '../helpers/alerts.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

const redis = await startRedis()
t.teardown(() => redis.stop())

const get = (port: number, path: string, headers = '', localAddress = '127.0.0.1') =>
  sendRaw(port, `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`, { localAddress })

t.test('the metrics have the documented names', async t => {
  const service = await startTestService({ REDIS_URL: redis.url, CIO_KEY_PREFIX: 'm:', PARTITIONS: '2' })
  t.teardown(() => service.close())
  await service.post(
    `{"event_id":"1","timestamp":${Date.now() / 1000 - 30},"object_type":"email","metric":"sent"}`
  )
  await service.post('{"event_id":"1"}')
  await service.post('[]')
  await service.post('{}', {})
  const [stream = ''] = await redis.client.keys('m:events:*')
  await redis.client.xgroup('CREATE', stream, 'crm', '0')

  const response = await fetch(`${service.url}/metrics`)
  const text = await response.text()
  t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const partition = /\{(\d)\}/.exec(stream)?.[1]
  const lines = [
    'cio_deliveries_total{source="default",outcome="accepted"} 1',
    'cio_deliveries_total{source="default",outcome="duplicate"} 1',
    'cio_deliveries_total{source="default",outcome="parked"} 1',
    'cio_deliveries_total{source="default",outcome="signature_invalid"} 1',
    'cio_deliveries_total{source="default",outcome="source_forbidden"} 0',
    'cio_deliveries_total{source="default",outcome="rate_limited"} 0',
    'cio_deliveries_total{source="default",outcome="too_large"} 0',
    'cio_deliveries_total{source="default",outcome="unavailable"} 0',
    'cio_deliveries_total{source="default",outcome="aborted"} 0',
    'cio_redis_up 1',
    `cio_build_info{version="${version}"} 1`,
    'cio_signature_failures_total{source="default",reason="missing"} 1',
    'cio_forbidden_but_authentic_total{source="default"} 0',
    'cio_delivery_duration_seconds_count 4',
    'cio_event_age_seconds_bucket{le="30"} 0',
    'cio_event_age_seconds_bucket{le="60"} 1',
    'cio_redis_call_duration_seconds_count 3',
    `cio_stream_length{partition="${partition}"} 1`,
    `cio_consumer_lag{consumer="crm",partition="${partition}"} 1`,
    'cio_parked_total{source="default",reason="not_an_object"} 1',
    'cio_signature_key_total{source="default",key="current"} 3',
    'cio_signature_key_total{source="default",key="previous"} 0',
    'cio_trimmed_events_total{reason="memory"} 0',
    'cio_parked_dropped_total{reason="age"} 0',
    'cio_dead_letters_dropped_total{reason="size"} 0',
    'cio_published_addresses_asked_total{outcome="failed"} 0',
    'cio_deliveries_late_total{source="default"} 0',
    'cio_stream_max_length 5000000'
  ]
  for (const line of lines) t.ok(text.includes(`\n${line}\n`), line)
  t.match(text, /^process_cpu_seconds_total /m)
  t.match(text, /^nodejs_eventloop_lag_p99_seconds /m)
})

t.test('only what was stored can be late, and only after 3.5 s', async t => {
  const metrics = createMetrics({
    sources: ['default'],
    readLog: async () => [],
    maxStreamLength: 1,
    isRedisUp: () => true,
    version: '1',
    traced: false,
    now: Date.now
  })
  const late = async () => /^cio_deliveries_late_total.* (\d+)$/m.exec(await metrics.register.metrics())?.[1]
  metrics.delivery('default', 'accepted', 3.5)
  for (const outcome of ['aborted', 'unavailable', 'signature_invalid'] as const) {
    metrics.delivery('default', outcome, 10)
  }
  t.equal(await late(), '0')
  for (const outcome of ['accepted', 'duplicate', 'parked'] as const) {
    metrics.delivery('default', outcome, 3.51)
  }
  t.equal(await late(), '3')
})

t.test('while Redis is down, log and consumers have their last known values', async t => {
  const own = await startRedis()
  const consumers = consumersFile(httpConsumer('paused', 'http://127.0.0.1:9'))
  const service = await startTestService({ REDIS_URL: own.url, CONSUMERS_FILE: consumers, DISPATCH: 'off' })
  t.teardown(() => service.close())
  await service.post('{"event_id":"1"}')
  await own.client.xgroup('CREATE', 'cio:events:{0}', 'crm', '0')
  await own.client.hset('cio:paused', 'paused', Date.now())
  const read = async () => {
    const samples = samplesOf(await (await fetch(`${service.url}/metrics`)).text())
    return new Map([...samples].filter(([metric]) => /^cio_(consumer|stream|redis_up)/.test(metric)))
  }
  const before = await read()
  for (const [metric, value] of [
    ['cio_redis_up', '1'],
    ['cio_stream_length{partition="0"}', '1'],
    ['cio_consumer_lag{consumer="crm",partition="0"}', '1'],
    ['cio_consumer_outstanding{consumer="crm"}', '1'],
    ['cio_consumer_dead_letters{consumer="crm"}', '0'],
    ['cio_consumer_failing{consumer="crm"}', '0'],
    ['cio_consumer_no_members{consumer="crm"}', '1'],
    ['cio_consumer_paused{consumer="crm"}', '0'],
    ['cio_consumer_paused{consumer="paused"}', '1']
  ] as const) {
    t.equal(before.get(metric), value, metric)
  }
  const readAt = Number(before.get('cio_consumer_status_time_seconds'))
  t.ok(Math.abs(readAt - Date.now() / 1000) < 5, 'the time of the last reading')

  await own.stop()
  await until('Redis to be down', async () => !(await fetch(`${service.url}/readyz`)).ok)
  const during = await read()
  t.equal(during.get('cio_redis_up'), '0')
  const without = (samples: ReadonlyMap<string, string>) =>
    [...samples].filter(([metric]) => metric !== 'cio_redis_up')
  t.same(without(during), without(before))
})

t.test('only allowed addresses may read them', async t => {
  const open = await startTestService({
    REDIS_URL: redis.url,
    METRICS_ALLOWED_IPS: '127.0.0.2,203.0.113.0/24'
  })
  const proxied = await startTestService({ REDIS_URL: redis.url, TRUSTED_PROXIES: '127.0.0.1' })
  t.teardown(() => Promise.all([open.close(), proxied.close()]))
  const forwarded = (address: string) => `x-forwarded-for: ${address}\r\n`
  const rows = [
    ['an address on the list', await get(open.port, '/metrics', '', '127.0.0.2'), 200],
    ['one that is not', await get(open.port, '/metrics'), 403],
    [
      'a client behind a proxy that is not configured',
      await get(open.port, '/metrics', forwarded('203.0.113.1'), '127.0.0.2'),
      403
    ],
    ['a private address by default', await get(proxied.port, '/metrics'), 200],
    [
      'a private address behind a trusted proxy',
      await get(proxied.port, '/metrics', forwarded('10.0.0.7')),
      200
    ],
    [
      'an address of the shared range of clouds behind a trusted proxy',
      await get(proxied.port, '/metrics', forwarded('100.64.0.7')),
      200
    ],
    [
      'a public address behind a trusted proxy',
      await get(proxied.port, '/metrics', forwarded('203.0.113.1')),
      403
    ],
    ['garbage behind a trusted proxy', await get(proxied.port, '/metrics', forwarded('localhost')), 403]
  ] as const
  for (const [name, answer, status] of rows) t.equal(answer.status, status, name)
  t.match(JSON.parse((await get(open.port, '/metrics')).body), {
    error: String,
    code: 'CIO_METRICS_FORBIDDEN'
  })
})

t.test('with METRICS_PORT they are on that port only', async t => {
  const service = await startTestService({ REDIS_URL: redis.url, METRICS_PORT: '0' })
  t.teardown(() => service.close())
  t.equal((await get(service.port, '/metrics')).status, 404)
  t.equal((await get(service.metricsPort ?? 0, '/metrics')).status, 200)
  t.equal((await get(service.metricsPort ?? 0, '/healthz')).status, 404)
})

t.test('no payload becomes a label', async t => {
  const service = await startTestService({ REDIS_URL: redis.url, CIO_KEY_PREFIX: 'l:' })
  t.teardown(() => service.close())
  const canary = 'label_canary'
  await service.post(`{"event_id":"${canary}","object_type":"${canary}","metric":"${canary}"}`)
  await service.post('{}', { 'x-cio-signature': canary, 'x-cio-timestamp': canary })
  await service.post('{}', {}, `/api/cio/webhook/${canary}`)
  t.notMatch(await (await fetch(`${service.url}/metrics`)).text(), canary)
})

t.test('a delivery has one log line, without anything of its body', async t => {
  const service = await startTestService({ REDIS_URL: redis.url, CIO_KEY_PREFIX: 'w:' })
  t.teardown(() => service.close())
  const started = service.logLines().length
  await service.post(
    '{"event_id":"wide","object_type":"email","metric":"sent","timestamp":1795510800,"data":{"note":"body canary"}}'
  )
  await service.post('{"note":"body canary"}', {
    'x-cio-signature': 'header-canary',
    'user-agent': 'agent-canary'
  })
  const [accepted, refused, ...rest] = service.logLines().slice(started)
  t.match(accepted, {
    level: 'info',
    msg: 'delivery',
    outcome: 'accepted',
    status: 200,
    source: 'default',
    id: 'wide',
    type: 'io.customer.email.sent',
    key: 'current',
    address: '127.0.0.1',
    bytes: Number,
    ageSeconds: Number,
    durationMs: Number,
    logMs: Number
  })
  t.match(refused, { outcome: 'signature_invalid', status: 401, reason: 'malformed', address: '127.0.0.1' })
  t.same(rest, [])
  t.notMatch(service.logText(), new RegExp(`canary|${KEY}`))
})

t.test('/healthz and /readyz', async t => {
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(() => service.close())
  const health = await get(service.port, '/healthz')
  t.match(JSON.parse(health.body), {
    status: 'ok',
    redis: 'up',
    draining: false,
    durability: { level: 'server', redis: 'none' },
    uptimeSeconds: Number
  })
  t.equal((await get(service.port, '/readyz')).status, 200)
  service.drain()
  const draining = await get(service.port, '/healthz')
  t.equal(draining.status, 200, 'alive while it drains')
  t.match(JSON.parse(draining.body), { status: 'degraded', draining: true })
  t.match(draining.head, /^connection: close$/im)
  t.equal((await get(service.port, '/readyz')).status, 503)
})
