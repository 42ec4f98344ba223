import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { deliveredRules, RULES_FILE } from '../helpers/alerts.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { deliveredDashboards, expressionsOf } from '../helpers/dashboards.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, startServer, temporaryFolder, until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'
import { tracingInMemory } from '../helpers/tracing.ts'

t.setTimeout(600_000)

/** Nothing is a week old in this test. */
const EMPTY_PANELS = ['overview.json: This week and last week']
/** These have a value once memory or log have grown between two readings. */
const GROWTH_PANELS = ['on-call.json: Log is full in', 'on-call.json: Redis is full in']

interface Prometheus {
  /** The `data` of an answer. @throws for an error */
  read<T>(path: string): Promise<T>
  readonly url: string
}

/**
 * Prometheus with the delivered configuration and rules; only the target and all durations of waiting are changed.
 *
 * @param target host and port of the service
 * @param textTarget where the same metrics are in text format, for a job of that name
 */
async function startPrometheus(target: string, textTarget?: string): Promise<Prometheus> {
  const folder = temporaryFolder()
  const config = readFileSync('deploy/prometheus/prometheus.yaml', 'utf8')
  const rules = readFileSync(RULES_FILE, 'utf8')

  writeFileSync(join(folder, 'cio-webhook.rules.yaml'), rules.replace(/^( +for: ).*$/gm, '$12s'))
  writeFileSync(
    join(folder, 'prometheus.yaml'),
    config.replace('localhost:3000', target).replace(/(_interval: )30s/g, '$11s') +
      (textTarget ? `  - { job_name: text, static_configs: [{ targets: ['${textTarget}'] }] }\n` : '')
  )
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const server = await startServer({
    command: 'prometheus',
    args: [
      `--config.file=${join(folder, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      '--enable-feature=exemplar-storage',
      `--web.listen-address=127.0.0.1:${port}`
    ],
    ready: () =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false
      )
  })
  t.teardown(() => server.stop())
  return {
    url,
    read: async path => {
      const { status, data, error } = (await (await fetch(url + path)).json()) as {
        status: string
        data: never
        error?: string
      }
      if (status !== 'success') throw new Error(`${path}: ${error}`)
      return data
    }
  }
}

async function firing({ read }: Prometheus): Promise<readonly string[]> {
  const { alerts } = await read<{ alerts: { state: string; labels: { alertname: string } }[] }>(
    '/api/v1/alerts'
  )
  return alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname)
}

/** Waits until these alerts fire. @returns all that fire then */
function untilFiring(prometheus: Prometheus, ...wanted: readonly string[]): Promise<readonly string[]> {
  return until(
    `firing: ${wanted.join()}`,
    async () => {
      const names = await firing(prometheus)
      return wanted.every(name => names.includes(name)) && names
    },
    60_000
  )
}

async function emptyPanels({ read }: Prometheus): Promise<readonly string[]> {
  const empty = new Set<string>()
  for (const { where, expr } of deliveredDashboards().flatMap(expressionsOf)) {
    const query = encodeURIComponent(expr.replaceAll(/\$\w+/g, '.*'))
    const { result } = await read<{ result: unknown[] }>(`/api/v1/query?query=${query}`)
    if (result.length === 0 && !GROWTH_PANELS.includes(where)) empty.add(where)
  }
  return [...empty].sort()
}

let events = 0
async function deliver(service: TestService, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    await service.post(`{"event_id":"${++events}","timestamp":${Math.floor(Date.now() / 1000)}}`)
  }
}

t.test('a real Prometheus evaluates every rule and panel without an error, and the alerts fire', async t => {
  const settings = { maxmemory: '100mb', 'maxmemory-policy': 'noeviction' }
  const redis = await startRedis(settings)
  // Nothing listens on this port: the consumer is down.
  const crm = httpConsumer('crm', `http://127.0.0.1:${await freePort()}/`)
  const service = await startTestService({ REDIS_URL: redis.url, CONSUMERS_FILE: consumersFile(crm) })
  t.teardown(() => service.close())
  const prometheus = await startPrometheus(`127.0.0.1:${service.port}`)

  await until('the first scrapes', async () => {
    const { result } = await prometheus.read<{ result: unknown[] }>(
      '/api/v1/query?query=count_over_time(cio_build_info[1m])>1'
    )
    return result.length > 0
  })
  await deliver(service, 500)
  await service.post('not an event')
  await service.post('{}', {})
  await untilFiring(prometheus, 'CioConsumerFailing', 'CioDeliveriesParked')

  const { groups } = await prometheus.read<{
    groups: { rules: { name: string; health: string; lastError?: string }[] }[]
  }>('/api/v1/rules')
  const evaluated = groups.flatMap(({ rules }) => rules)
  t.same(
    evaluated.filter(({ health }) => health !== 'ok'),
    [],
    'no rule has an error'
  )
  t.equal(evaluated.length, deliveredRules().length)

  // A rate needs two values.
  await until('each panel to show something', async () => {
    const empty = await emptyPanels(prometheus)
    return empty.join() === EMPTY_PANELS.join()
  }).catch(async () => t.same(await emptyPanels(prometheus), EMPTY_PANELS))

  await redis.stop()
  await until('503', async () => (await service.post('{}')).status === 503)
  await deliver(service, 30)
  await untilFiring(prometheus, 'CioRedisDown', 'CioErrorBudgetBurnsFast', 'CioConsumerFailing')

  const again = await startRedis(settings, { port: redis.port })
  t.teardown(() => again.stop())
  await until('CioRedisDown to end', async () => !(await firing(prometheus)).includes('CioRedisDown'))
  const own = await (await fetch(`${prometheus.url}/metrics`)).text()
  const failures = [...own.matchAll(/^prometheus_rule_evaluation_failures_total\{.*\} (\d+)$/gm)]
  t.ok(failures.length > 0)
  t.same(
    failures.filter(([, count]) => count !== '0'),
    [],
    'no evaluation failed'
  )
})

/** Passes a scrape on without its `accept`. @returns host and port */
async function startTextFormat(service: TestService): Promise<string> {
  const server = createServer(async (_request, response) => {
    const scrape = await fetch(`${service.url}/metrics`)
    response.setHeader('content-type', scrape.headers.get('content-type') ?? '')
    response.end(await scrape.text())
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return `127.0.0.1:${port}`
}

t.test('a real Prometheus reads the same series from both formats, and exemplars', async t => {
  const redis = await startRedis()
  const crm = httpConsumer('crm', `http://127.0.0.1:${await freePort()}/`)
  const tracing = tracingInMemory()
  const service = await startTestService(
    { REDIS_URL: redis.url, CONSUMERS_FILE: consumersFile(crm) },
    { tracing }
  )
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  const { read } = await startPrometheus(`127.0.0.1:${service.port}`, await startTextFormat(service))
  await deliver(service, 1)

  const seriesOf = async (job: string): Promise<readonly string[]> => {
    // Of Prometheus and its rules, and those that come and go with what a process has open.
    const others = 'scrape_.*|ALERTS.*|.*:.*|nodejs_active_.*|nodejs_gc_.*'
    const match = encodeURIComponent(`{job="${job}", __name__!~"${others}"}`)
    const series = await read<Record<string, string>[]>(`/api/v1/series?match[]=${match}`)
    return series.map(({ job: _, instance: __, ...labels }) => JSON.stringify(labels)).sort()
  }
  const ours = async (job: string) => (await seriesOf(job)).filter(series => series.includes('cio_'))
  await until('the consumer in both formats', async () => {
    const counts = [await ours('cio-webhook'), await ours('text')]
    return counts.every(series => series.some(each => each.includes('"consumer":"crm"')))
  })
  const fromText = await seriesOf('text')
  t.ok(fromText.length > 100, String(fromText.length))
  t.same(await seriesOf('cio-webhook'), fromText)

  const traceId = tracing.spans[0]?.traceId
  for (const metric of ['cio_delivery_duration_seconds_bucket', 'cio_redis_call_duration_seconds_bucket']) {
    const query = `query=${metric}&start=${Date.now() / 1000 - 60}&end=${Date.now() / 1000 + 60}`
    const [found] = await until(`an exemplar of ${metric}`, async () => {
      const answer = await read<{ seriesLabels: object; exemplars: object[] }[]>(
        `/api/v1/query_exemplars?${query}`
      )
      return answer.length > 0 && answer
    })
    t.match(found, { seriesLabels: { job: 'cio-webhook' }, exemplars: [{ labels: { trace_id: traceId } }] })
  }
})
