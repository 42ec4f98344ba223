import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import t, { type Test } from 'tap'
import { CLOSE_MS } from '../../src/cli/serve/command.ts'
import { loadSettings, serviceNeeds } from '../../src/settings/config.ts'
import { variables } from '../../src/settings/variables.ts'
import { unknownVariables } from '../../src/settings/warnings.ts'
import { startServiceProcess } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import { KEY, newBody, signV0, WEBHOOK_PATH } from '../helpers/sign.ts'
import {
  type ConfigMap,
  type Deployment,
  type Probe,
  type Rendered,
  renderChart,
  type ScaledObject,
  type ServiceMonitor
} from './chart.ts'
import { EVERYTHING, matrix } from './chart-values.ts'

t.setTimeout(600_000)

const podOf = (rendered: Rendered) => rendered.of<Deployment>('Deployment').spec.template.spec

/** The environment of a pod, whose mounted files are in a folder of their own. */
function mountedEnvironment(rendered: Rendered, redisUrl: string): Record<string, string> {
  const folder = temporaryFolder()
  const inFolder = (text: string): string =>
    text.replaceAll('/run/secrets/', `${folder}/secrets/`).replaceAll('/etc/cio-webhook/', `${folder}/files/`)
  const files: Readonly<Record<string, string>> = {
    '/run/secrets/cio-webhook/redis-url': redisUrl,
    '/run/secrets/cio-webhook/redis-password': 'a-password',
    '/run/secrets/cio-webhook/cio-webhook-secret': KEY,
    '/run/secrets/cio-webhook/cio-webhook-secret-previous': 'the-key-before',
    '/run/secrets/cio-webhook/console-password': 'a long enough password',
    '/run/secrets/cio-webhook/campaigns': 'the-key-of-campaigns',
    '/run/secrets/cio-webhook/crm': `whsec_${Buffer.alloc(32).toString('base64')}`,
    ...Object.fromEntries(
      Object.entries(
        rendered.text.includes('kind: ConfigMap') ? rendered.of<ConfigMap>('ConfigMap').data : {}
      )
        .filter(([name]) => name.endsWith('.json'))
        .map(([name, text]) => [`/etc/cio-webhook/${name}`, text])
    )
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(inFolder(path)), { recursive: true })
    writeFileSync(inFolder(path), inFolder(text))
  }
  const { env } = podOf(rendered).containers[0]
  // The image sets NODE_ENV.
  return {
    NODE_ENV: 'production',
    ...Object.fromEntries(env.map(({ name, value }) => [name, inFolder(value)]))
  }
}

/** The settings of a pod that has no secrets in files, with secrets in variables instead. */
function withoutProvider({ SECRETS_PROVIDER, ...env }: Record<string, string>): Record<string, string> {
  const secrets = { REDIS_URL: 'redis://redis.internal:6379', CIO_WEBHOOK_SECRET: KEY }
  return SECRETS_PROVIDER === undefined ? env : { ...env, ...secrets }
}

t.test('the service knows every variable of a pod, and starts with these settings', async t => {
  for (const [name, values] of Object.entries(matrix)) {
    const env = mountedEnvironment(renderChart(values), 'redis://redis.internal:6379')
    const { NODE_EXTRA_CA_CERTS: _, ...own } = env
    t.same(
      Object.keys(own).filter(name => !(name in variables) && !(name.replace(/_FILE$/, '') in variables)),
      [],
      name
    )
    t.same(unknownVariables(env), [], `${name}: no warning`)
    const config = await loadSettings(withoutProvider(env), serviceNeeds)
    config.secrets.close()
    t.ok(config.sources.has('default'), name)
  }

  const config = await loadSettings(
    mountedEnvironment(renderChart(EVERYTHING), 'redis://redis.internal:6379'),
    serviceNeeds
  )
  config.secrets.close()
  t.match(
    config,
    {
      log: { partitions: 6, maxLength: 5_000_000, parked: { maxBytes: 2 ** 40 } },
      dispatch: {
        isOn: true,
        consumers: [{ name: 'crm', url: 'https://crm.internal/events?a=1&b=2' }, { name: 'bus' }]
      },
      console: { port: 3100, host: '0.0.0.0' }
    },
    'large numbers, `on`, and addresses arrive as they were written'
  )
  t.same([...config.sources.keys()], ['default', 'campaigns'])
})

t.test('the grace period is longer than the service needs to stop', async t => {
  for (const [name, values] of Object.entries(matrix)) {
    const { terminationGracePeriodSeconds, containers } = podOf(renderChart(values))
    const delay = containers[0].env.find(({ name }) => name === 'SHUTDOWN_DELAY_SECONDS')?.value
    const reserveMs = terminationGracePeriodSeconds * 1000 - Number(delay) * 1000 - CLOSE_MS
    t.ok(reserveMs >= 3000, `${name}: a reserve of ${reserveMs} ms`)
  }
})

t.test('ports and probes are those of the service, and it stops within the grace period', async t => {
  const rendered = renderChart(EVERYTHING.replace('readinessPath: /healthz', ''))
  const pod = podOf(rendered)
  const [container] = pod.containers
  const redis = await startRedis({ appendonly: 'yes' })
  t.teardown(() => redis.stop())
  const env = mountedEnvironment(rendered, redis.url)
  t.same(
    Object.fromEntries(container.ports.map(({ name, containerPort }) => [name, String(containerPort)])),
    { http: variables.PORT.fallback, metrics: env['METRICS_PORT'], console: env['CONSOLE_PORT'] },
    'ports of the container'
  )

  // Ports of this machine may be in use. The targets of the consumers do not exist.
  const ports = { http: await freePort(), metrics: await freePort(), console: await freePort() }
  const { NODE_EXTRA_CA_CERTS: _, ...known } = env
  const service = await startServiceProcess({
    ...known,
    PORT: String(ports.http),
    METRICS_PORT: String(ports.metrics),
    CONSOLE_PORT: String(ports.console),
    TRUSTED_PROXIES: '127.0.0.1',
    DISPATCH: 'off'
  })
  const status = async (port: number, path: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { redirect: 'manual' })).status
  const probe = ({ httpGet: { path, port } }: Probe): Promise<number> => {
    t.equal(port, 'http')
    return status(ports.http, path)
  }
  t.equal(await probe(container.readinessProbe), 200, 'readiness')
  t.equal(await probe(container.livenessProbe), 200, 'liveness')
  t.equal(await status(ports.console, '/'), 303, 'the console asks for a password')
  t.equal(await status(ports.http, '/metrics'), 404, 'metrics are not on the public port')
  await checkMonitor(t, rendered, ports.metrics)

  const stopped = performance.now()
  service.process.kill('SIGTERM')
  await until('the readiness probe fails', async () => (await probe(container.readinessProbe)) === 503)
  t.equal(await probe(container.livenessProbe), 200, 'liveness while it stops')
  const body = newBody()
  const response = await fetch(`http://127.0.0.1:${ports.http}${WEBHOOK_PATH}`, {
    method: 'POST',
    body,
    headers: { ...signV0(body), 'x-forwarded-for': '35.188.196.183' }
  })
  t.equal(response.status, 200, 'a delivery during the delay')
  t.equal(await service.ended, 0)
  t.ok(performance.now() - stopped < pod.terminationGracePeriodSeconds * 1000)
})

/** The path and the metrics that Prometheus and KEDA ask for exist. */
async function checkMonitor(t: Test, rendered: Rendered, port: number): Promise<void> {
  const { endpoints } = rendered.of<ServiceMonitor>('ServiceMonitor').spec
  t.match(endpoints, [{ port: 'metrics' }])
  const answer = await fetch(`http://127.0.0.1:${port}${endpoints[0].path}`)
  const metrics = await answer.text()
  const [, trigger] = rendered.of<ScaledObject>('ScaledObject').spec.triggers
  t.equal(
    trigger.metadata.query,
    'sum(max by (consumer, partition) (cio_consumer_lag{namespace="webhooks", consumer=~"crm|bus"}))'
  )
  t.match(metrics, '# TYPE cio_consumer_lag gauge')
}
