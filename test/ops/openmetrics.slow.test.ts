import { AggregatorRegistry } from 'prom-client'
import t from 'tap'
import { createMetrics } from '../../src/ops/metrics.ts'
import { prefersOpenMetrics, toOpenMetrics, toPrometheusText } from '../../src/ops/openmetrics.ts'
import { samplesOf } from '../helpers/alerts.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'
import { tracingInMemory } from '../helpers/tracing.ts'

const OPENMETRICS = 'application/openmetrics-text;version=1.0.0'
const EXEMPLAR = /^(\w+_bucket)\{le="[^"]+"\} \d+ # \{trace_id="([0-9a-f]{32})"\} [\d.e-]+ \d+(?:\.\d+)?$/gm

const redis = await startRedis()
t.teardown(() => redis.stop())

const createTestMetrics = (traced: boolean, now = Date.now) =>
  createMetrics({
    sources: ['default'],
    readLog: async () => [],
    maxStreamLength: 1,
    isRedisUp: () => true,
    version: '1',
    traced,
    now
  })

const traceIdOf = (digit: string): string => digit.repeat(32)

t.test(
  'a scraper gets OpenMetrics if its accept header names it and does not prefer the text format',
  async t => {
    const rows: readonly (readonly [accept: string | undefined, expected: boolean])[] = [
      // Prometheus 2.42, 2.53, 3.5 with their defaults, and 3.5 with `scrape_protocols: [PrometheusText0.0.4]`.
      [
        'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
        true
      ],
      [
        'application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
        true
      ],
      [
        'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2',
        true
      ],
      ['text/plain;version=0.0.4;q=0.6,*/*;q=0.5', false],
      [OPENMETRICS, true],
      ['Application/OpenMetrics-Text ; Version=1.0.0 , */*', true],
      ['application/openmetrics-text', true],
      ['application/openmetrics-text; version=0.0.1', false],
      ['application/openmetrics-text; version=2.0.0', false],
      ['text/plain;q=0.6,application/openmetrics-text;q=0.5', false],
      ['application/openmetrics-text;q=0', false],
      ['application/openmetrics-text;q=x', false],
      ['*/*', false],
      ['application/*', false],
      ['', false],
      [undefined, false]
    ]
    for (const [accept, expected] of rows)
      t.equal(prefersOpenMetrics(accept), expected, accept ?? 'no header')
  }
)

t.test('a recorded delivery is the exemplar of both durations, in OpenMetrics only', async t => {
  const tracing = tracingInMemory()
  const service = await startTestService({ REDIS_URL: redis.url, CIO_KEY_PREFIX: 'e:' }, { tracing })
  t.teardown(() => service.close())
  const read = async (accept: string) => {
    const response = await fetch(`${service.url}/metrics`, { headers: { accept } })
    return { type: response.headers.get('content-type'), text: await response.text() }
  }
  await service.post('{}', {})
  t.same([...(await read(OPENMETRICS)).text.matchAll(EXEMPLAR)], [], 'a refused one has no span')

  await service.post('{"event_id":"1"}')
  const openMetrics = await read(OPENMETRICS)
  const traceId = tracing.spans[0]?.traceId
  t.equal(openMetrics.type, 'application/openmetrics-text; version=1.0.0; charset=utf-8')
  t.same(
    [...openMetrics.text.matchAll(EXEMPLAR)].map(([, metric, id]) => [metric, id]),
    [
      ['cio_delivery_duration_seconds_bucket', traceId],
      ['cio_redis_call_duration_seconds_bucket', traceId]
    ]
  )
  t.ok(openMetrics.text.endsWith('\n# EOF\n'))
  t.notMatch(openMetrics.text, /^$\n/m, 'no empty line')
  t.match(openMetrics.text, /^# TYPE cio_deliveries counter\n/m)

  const text = await read('*/*')
  t.match(text.type, /^text\/plain; version=0\.0\.4/)
  t.notMatch(text.text, /trace_id|# \{|EOF|cio_exemplars/)
  const namesOf = (scrape: string) =>
    [...samplesOf(scrape.replaceAll(/ # .*$/gm, '')).keys()]
      // They come and go: one for each kind of open resource.
      .filter(sample => !/^nodejs_active_(?:handles|requests|resources)\{|^nodejs_gc_/.test(sample))
  t.same(namesOf(openMetrics.text), namesOf(text.text), 'the same series')
})

t.test(
  'without traces the text format is what the registry writes, and OpenMetrics has no exemplars',
  async t => {
    const { register, delivery, stop } = createTestMetrics(false)
    t.teardown(stop)
    delivery('default', 'accepted', 0.004, traceIdOf('a'))
    const metrics = await register.metrics()
    t.equal(toPrometheusText(metrics), metrics)
    t.notMatch(toOpenMetrics(metrics), 'trace_id')
    t.equal(toPrometheusText(''), '', 'of workers that do not answer')
    t.equal(toOpenMetrics(''), '# EOF\n')
  }
)

t.test('with traces, the text format is what it is without', async t => {
  const [traced, untraced] = [createTestMetrics(true), createTestMetrics(false)]
  t.teardown(() => [traced.stop(), untraced.stop()])
  traced.delivery('default', 'accepted', 0.004, traceIdOf('a'))
  untraced.delivery('default', 'accepted', 0.004)
  const own = async ({ register }: typeof traced) =>
    toPrometheusText(await register.metrics()).replaceAll(/^(?:.*nodejs_|.*process_).*$\n/gm, '')
  t.equal(await own(traced), await own(untraced))
})

t.test('each bucket has the latest exemplar of all workers', async t => {
  let nowMs = 1_790_000_000_500
  const workers = [createTestMetrics(true, () => nowMs), createTestMetrics(true, () => nowMs)] as const
  t.teardown(() => workers.map(({ stop }) => stop()))
  const [first, second] = workers
  second.delivery('default', 'accepted', 0.003, traceIdOf('a'))
  first.delivery('default', 'accepted', 0.2, traceIdOf('b'))
  nowMs += 1000
  first.delivery('default', 'accepted', 0.004, traceIdOf('c'))
  second.delivery('default', 'unavailable', 3.6, traceIdOf('d'))
  nowMs += 1000
  second.delivery('default', 'accepted', 0.2, traceIdOf('e'))
  second.redisCall(0.00002, undefined)
  const shared = await Promise.all(workers.map(({ register }) => register.getMetricsAsJSON()))
  const text = await AggregatorRegistry.aggregate(shared).metrics()

  t.same(
    toOpenMetrics(text)
      .split('\n')
      .filter(line => line.includes(' # ')),
    [
      `cio_delivery_duration_seconds_bucket{le="0.005"} 2 # {trace_id="${traceIdOf('c')}"} 0.004 1790000001.5`,
      `cio_delivery_duration_seconds_bucket{le="0.25"} 4 # {trace_id="${traceIdOf('e')}"} 0.2 1790000002.5`,
      `cio_delivery_duration_seconds_bucket{le="+Inf"} 5 # {trace_id="${traceIdOf('d')}"} 3.6 1790000001.5`
    ]
  )
  t.notMatch(toPrometheusText(text), /trace_id|cio_exemplars/)
})

t.test('quotes in a help text are escaped, and the families keep their order', async t => {
  t.equal(
    toOpenMetrics(
      '# HELP a_total A "quoted" text\n# TYPE a_total counter\na_total 1\n\n# HELP b_total Gauge\n# TYPE b_total gauge\nb_total{c="d"} NaN\n'
    ),
    '# HELP a A \\"quoted\\" text\n# TYPE a counter\na_total 1\n# HELP b_total Gauge\n# TYPE b_total gauge\nb_total{c="d"} NaN\n# EOF\n'
  )
})
