import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { CLOSE_MS } from '../../src/cli/serve/command.ts'
import { loadSettings, serviceNeeds } from '../../src/settings/config.ts'
import { variables } from '../../src/settings/variables.ts'
import { unknownVariables } from '../../src/settings/warnings.ts'
import { KEY } from '../helpers/sign.ts'
import type { Container } from './chart.ts'

type EnvironmentList = readonly { readonly name: string; readonly value: string }[]

/** Cloud Run kills a container this long after SIGTERM. */
const CLOUD_RUN_GRACE_SECONDS = 10

/** The settings as the service reads them, with secrets from the environment. */
async function settingsOf(list: EnvironmentList) {
  const env = Object.fromEntries(list.map(({ name, value }) => [name, value]))
  t.same(unknownVariables(env), [])
  const own = Object.entries(env).filter(([name]) => name in variables && name !== 'SECRETS_PROVIDER')
  const config = await loadSettings(
    {
      ...Object.fromEntries(own),
      NODE_ENV: 'production',
      REDIS_URL: 'redis://redis.internal:6379',
      CIO_WEBHOOK_SECRET: KEY
    },
    serviceNeeds
  )
  config.secrets.close()
  return { config, env }
}

t.test('ECS: settings, ports, health check and time to stop are those of the service', async t => {
  const { containerDefinitions } = JSON.parse(readFileSync('examples/ecs/task-definition.json', 'utf8'))
  const [container] = containerDefinitions
  const { config } = await settingsOf(container.environment)
  t.ok(container.stopTimeout * 1000 - config.http.shutdownDelayMs - CLOSE_MS > 3000)
  t.same(container.portMappings, [
    { containerPort: config.http.port },
    { containerPort: config.metrics.port }
  ])
  const script: string = container.healthCheck.command.at(-1)
  t.ok(existsSync(script.replace('/app/dist/', 'src/').replace(/js$/, 'ts')), script)
})

t.test('Cloud Run: settings, port, probes and time to stop are those of the service', async t => {
  const { spec } = parse(readFileSync('examples/cloud-run/service.yaml', 'utf8'))
  const [container]: readonly Container[] = spec.template.spec.containers
  const { config, env } = await settingsOf(container?.env ?? [])
  t.ok(CLOUD_RUN_GRACE_SECONDS * 1000 - config.http.shutdownDelayMs - CLOSE_MS > 3000)
  t.match(container, {
    ports: [{ containerPort: config.http.port }],
    livenessProbe: { httpGet: { path: '/healthz' } }
  })
  const mounted = container?.volumeMounts.map(({ mountPath }) => `${mountPath}/value`)
  t.same(
    Object.keys(env)
      .filter(name => name.endsWith('_FILE'))
      .map(name => env[name]),
    mounted,
    'each secret is a mounted file'
  )
})
