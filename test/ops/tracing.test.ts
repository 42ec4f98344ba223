import t from 'tap'
import { createLogger } from '../../src/ops/logger.ts'
import { openTracing } from '../../src/ops/tracing.ts'
import { tracingSettings } from '../../src/settings/tracing.ts'

const open = async (env: Record<string, string>, nodeVersion?: string) => {
  const lines: string[] = []
  const { log } = createLogger('info', { write: line => void lines.push(line) })
  const tracing = await openTracing(tracingSettings(env), log, nodeVersion)
  return { tracing, lines: lines.map(line => JSON.parse(line)) }
}
const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }

t.test('without a collector there are no traces, and no log line', async t => {
  t.same(await open({}), { tracing: undefined, lines: [] })
})

t.test('on a Node that is too old for the SDK, one line says so', async t => {
  for (const version of ['20.20.0', '22.14.9']) {
    const { tracing, lines } = await open(ENDPOINT, version)
    t.equal(tracing, undefined)
    t.match(lines, [
      {
        level: 'warn',
        msg: `traces are not recorded: the OpenTelemetry SDK needs Node 22.15 or newer, this is ${version}`
      }
    ])
    t.equal(lines.length, 1)
  }
})

t.test('what is wrong with the variables is one line too', async t => {
  const { tracing, lines } = await open({ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })
  t.equal(tracing, undefined)
  t.match(lines, [{ level: 'warn', msg: /^traces are not recorded: OTEL_EXPORTER_OTLP_PROTOCOL/ }])
  t.equal(lines.length, 1)
})
