import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { deliveredRules, RULES_FILE } from '../helpers/alerts.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { deliveredDashboards, expressionsOf } from '../helpers/dashboards.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, startServer, temporaryFolder, until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'

t.setTimeout(180_000)

/** Nothing is a week old in this test. */
const EMPTY_PANELS = ['overview.json: This week and last week']
/** These have a value once memory or log have grown between two readings. */
const GROWTH_PANELS = ['on-call.json: Log is full in', 'on-call.json: Redis is full in']

interface Prometheus {
  /** The `data` of an answer. @throws for an error */
  read<T>(path: string): Promise<T>
  readonly url: string
}

/** Prometheus with the delivered configuration and rules; only the target and all durations of waiting are changed. */
async function startPrometheus(target: string): Promise<Prometheus> {
  const folder = temporaryFolder()
  const config = readFileSync('deploy/prometheus/prometheus.yaml', 'utf8')
  const rules = readFileSync(RULES_FILE, 'utf8')

  writeFileSync(join(folder, 'cio-webhook.rules.yaml'), rules.replace(/^( +for: ).*$/gm, '$12s'))
  writeFileSync(
    join(folder, 'prometheus.yaml'),
    config.replace('localhost:3000', target).replace(/(_interval: )30s/g, '$11s')
  )
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const server = await startServer({
    command: 'prometheus',
    args: [
      `--config.file=${join(folder, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
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
