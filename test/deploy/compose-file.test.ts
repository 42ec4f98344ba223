import { readFileSync } from 'node:fs'
import t from 'tap'
import { variables } from '../../src/settings/variables.ts'

/** What the file decides by itself, and why an operator can't. */
const decided: Readonly<Record<string, string>> = {
  NODE_ENV: 'the image is for production',
  PORT: 'the port inside; PORT is the one outside',
  HOST: 'published ports reach no other',
  DATA_DIR: 'nothing is written in production',
  CIO_WEBHOOK_SECRET: 'a file, in the volume of keys',
  CIO_WEBHOOK_SECRET_PREVIOUS: 'a file, in the volume of keys',
  PII_HASH_KEY: 'a file',
  CIO_SITE_ID: 'a file',
  CIO_API_KEY: 'a file',
  CIO_APP_API_KEY: 'a file',
  CONSOLE_PASSWORD: 'a file',
  CONSOLE_VIEWER_PASSWORD: 'a file',
  CONSOLE_API_TOKEN: 'a file',
  VAULT_TOKEN: 'a file',
  VAULT_SECRET_ID: 'a file',
  VAULT_ROLE: 'there are no service accounts',
  VAULT_JWT_FILE: 'there are no service accounts',
  AZURE_CLIENT_SECRET: 'a file',
  AZURE_FEDERATED_TOKEN_FILE: 'there are no service accounts',
  REDIS_SENTINELS: 'its Redis is one server',
  REDIS_SENTINEL_MASTER: 'its Redis is one server',
  REDIS_CLUSTER_NODES: 'its Redis is one server',
  REDIS_USERNAME: 'its Redis is one server',
  REDIS_PASSWORD: 'its Redis is one server',
  REDIS_TLS: 'its Redis is one server'
}
/** Files that the operator has to mount first. */
const mounted = [
  'CIO_SOURCES_FILE',
  'CONSUMERS_FILE',
  'DISPATCH',
  'METRICS_PORT',
  'VAULT_CACERT',
  'OTEL_EXPORTER_OTLP_CERTIFICATE'
]
/** The variables of OpenTelemetry, by the table of the page. */
const tracing = readFileSync('docs/tracing.md', 'utf8')
  .split('\n')
  .filter(line => line.startsWith('| `OTEL_'))
  .flatMap(line => line.split('|')[1]?.match(/OTEL_[A-Z_]+/g) ?? [])

t.test('docker-compose.yml hands on every setting of the service, but for those it decides', async t => {
  const [, service = ''] =
    /^ {2}webhook:\n((?: {4}.*\n|\n)+)/m.exec(readFileSync('docker-compose.yml', 'utf8')) ?? []
  const handed = [...service.matchAll(/^ {6}([A-Z][A-Z_]+):/gm)].map(([, name = '']) => name)
  t.ok(tracing.includes('OTEL_SERVICE_NAME'))
  const known = [...Object.keys(variables), ...tracing]
  t.same(
    handed.filter(name => !known.includes(name.replace(/_FILE$/, '')) && !known.includes(name)),
    [],
    'nothing that the service does not know'
  )
  t.same(
    known.filter(name => !handed.includes(name) && !(name in decided) && !mounted.includes(name)),
    [],
    'nothing is forgotten'
  )
})
