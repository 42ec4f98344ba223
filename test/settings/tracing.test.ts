import t from 'tap'
import { tracingSettings } from '../../src/settings/tracing.ts'

const ENDPOINT = 'http://collector:4318'
const BATCH = {
  maxQueueSize: 2048,
  maxExportBatchSize: 512,
  scheduledDelayMillis: 5000,
  exportTimeoutMillis: 30_000
}
const with_ = (env: Record<string, string>) =>
  tracingSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, ...env })

t.test('traces are off without a collector, and where they are switched off', async t => {
  t.equal(tracingSettings({}), undefined)
  t.equal(tracingSettings({ OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' }), undefined)
  t.equal(tracingSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: '' }), undefined, 'empty is unset')
  t.equal(with_({ OTEL_SDK_DISABLED: 'TRUE' }), undefined)
  t.equal(with_({ OTEL_TRACES_EXPORTER: 'none' }), undefined)
})

t.test('the address of the collector is shown without its path and credentials', async t => {
  t.match(with_({}), { collector: ENDPOINT })
  const secret = 'https://user:hunter2@traces.example:443/tenant?key=hunter2'
  t.match(with_({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: secret }), { collector: 'https://traces.example' })
})

t.test('every sampler of the specification is known; by default, new traces are recorded', async t => {
  const rows: readonly (readonly [string, string, boolean, number])[] = [
    ['', '', true, 1],
    ['always_on', '', false, 1],
    ['always_off', '', false, 0],
    ['traceidratio', '0.25', false, 0.25],
    ['parentbased_always_on', '0.1', true, 1],
    ['parentbased_always_off', '', true, 0],
    ['parentbased_traceidratio', '0.01', true, 0.01],
    ['parentbased_traceidratio', '', true, 1]
  ]
  for (const [sampler, ratioText, parentBased, ratio] of rows) {
    const settings = with_({ OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: ratioText })
    t.match(settings, { sampler: { parentBased, ratio } }, sampler)
  }
})

t.test('a limit of the queue that is not a number has its default', async t => {
  t.match(with_({ OTEL_BSP_MAX_QUEUE_SIZE: '-1', OTEL_BSP_SCHEDULE_DELAY: '1e3' }), { batch: BATCH })
  t.match(with_({ OTEL_BSP_MAX_QUEUE_SIZE: '100', OTEL_BSP_SCHEDULE_DELAY: '200' }), {
    batch: { ...BATCH, maxQueueSize: 100, maxExportBatchSize: 100, scheduledDelayMillis: 200 }
  })
})

t.test('what cannot be done is named, without a value that could be a secret', async t => {
  const rows: readonly (readonly [Record<string, string>, RegExp])[] = [
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }, /^OTEL_TRACES_EXPORTER must be otlp/],
    [{ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, /^OTEL_EXPORTER_OTLP_PROTOCOL must be http\/protobuf/],
    [{ OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' }, /^OTEL_EXPORTER_OTLP_PROTOCOL must be/],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, /^OTEL_EXPORTER_OTLP_ENDPOINT must be an http/],
    [{ OTEL_TRACES_SAMPLER: 'jaeger_remote' }, /^OTEL_TRACES_SAMPLER must be one of always_on/],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' }, /a number from 0 to 1$/],
    [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: 'half' }, /a number from 0 to 1$/]
  ]
  for (const [env, problem] of rows) t.match(with_(env), { problem }, JSON.stringify(env))
})
