import fc from 'fast-check'
import t from 'tap'
import { isOneEditApart } from '../../src/edit-distance.ts'
import { type Source, signingKeys } from '../../src/settings/sources.ts'
import { variables } from '../../src/settings/variables.ts'
import {
  misspeltConsumerTypes,
  sharedKeys,
  unencryptedStore,
  unknownVariables
} from '../../src/settings/warnings.ts'

const warned = (...names: readonly string[]): readonly string[] =>
  unknownVariables(Object.fromEntries(names.map(name => [name, 'hunter2']))).map(({ message }) => message)

t.test('a misspelt variable is warned about, with the one that was meant', async t => {
  t.same(warned('DURABILTY', 'REDIS_URI', 'LOGLEVEL', 'CIO_WEBHOOK_SECRET_FIEL', 'REDIS_PASSWORD_FLE'), [
    'DURABILTY is not a setting of this service: did you mean DURABILITY?',
    'REDIS_URI is not a setting of this service: did you mean REDIS_URL?',
    'LOGLEVEL is not a setting of this service: did you mean LOG_LEVEL?',
    'CIO_WEBHOOK_SECRET_FIEL is not a setting of this service: did you mean CIO_WEBHOOK_SECRET_FILE?',
    'REDIS_PASSWORD_FLE is not a setting of this service: did you mean REDIS_PASSWORD_FILE?'
  ])
})

t.test('an unknown variable that begins with CIO_ is warned about', async t => {
  t.same(warned('CIO_WEBHOOK_SIGNING_KEY', 'CIO_REGION_FILE'), [
    'CIO_WEBHOOK_SIGNING_KEY is not a setting of this service: it has no effect',
    'CIO_REGION_FILE is not a setting of this service: it has no effect'
  ])
})

t.test('what rotations and compose read is known', async t => {
  t.same(
    warned('CIO_API_KEY_V2', 'CIO_SITE_ID_V2_FILE', 'CIO_WEBHOOK_SECRET_CRM_V2_FILE', 'CIO_WEBHOOK_IMAGE'),
    []
  )
})

const names = Object.keys(variables)
const letter = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZ_')
/** One insertion, deletion, replacement or swap. */
const misspelt = fc
  .tuple(fc.constantFrom(...names), fc.nat(), fc.nat(3), letter)
  .map(([name, place, kind, letter]) => {
    const at = place % name.length
    const [before, after] = [name.slice(0, at), name.slice(at)]
    if (kind === 0) return before + letter + after
    if (kind === 1) return before + after.slice(1)
    if (kind === 2) return before + letter + after.slice(1)
    return `${before}${after[1] ?? ''}${after[0]}${after.slice(2)}`
  })
  .filter(name => name !== '' && !names.includes(name) && !names.includes(name.replace(/_FILE$/, '')))

t.test('each variable is recognized through any one edit', async () => {
  fc.assert(fc.property(misspelt, name => warned(name).length === 1))
})

t.test('two edits are not one', async t => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['PORT', 'PORT', false],
    ['PORT', 'PROT', true],
    ['PORT', 'PRTO', false],
    ['HOME', 'HOST', false],
    ['PATH', 'PORT', false],
    ['AB', 'BAC', false],
    ['', 'A', true],
    ['A', '', true],
    ['AAA', 'AA', true],
    ['ABCD', 'BADC', false]
  ]
  for (const [one, other, expected] of rows) t.equal(isOneEditApart(one, other), expected, `${one} ${other}`)
})

t.test('the environment of a usual container gives no false alarm', async t => {
  const serviceLinks = ['CIO_WEBHOOK', 'CIO', 'REDIS', 'METRICS_SVC', 'KUBERNETES'].flatMap(service => [
    `${service}_SERVICE_HOST`,
    `${service}_SERVICE_PORT`,
    `${service}_SERVICE_PORT_HTTP`,
    `${service}_PORT`,
    `${service}_PORT_3000_TCP`,
    `${service}_PORT_3000_TCP_PROTO`,
    `${service}_PORT_3000_TCP_PORT`,
    `${service}_PORT_3000_TCP_ADDR`
  ])
  const usual =
    `PATH HOME HOST HOSTNAME HOSTTYPE PWD OLDPWD SHLVL TERM LANG LC_ALL TZ USER USERNAME LOGNAME SHELL MAIL TMPDIR _
    NODE_VERSION YARN_VERSION NODE_OPTIONS NODE_EXTRA_CA_CERTS NPM_CONFIG_LOGLEVEL npm_config_loglevel npm_package_name
    npm_lifecycle_event INIT_CWD COLOR EDITOR CI DEBIAN_FRONTEND HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy no_proxy
    SSL_CERT_FILE SSL_CERT_DIR AWS_REGION AWS_DEFAULT_REGION AWS_ACCESS_KEY_ID AWS_ROLE_ARN AWS_WEB_IDENTITY_TOKEN_FILE
    ECS_CONTAINER_METADATA_URI_V4 AWS_EXECUTION_ENV GOOGLE_APPLICATION_CREDENTIALS K_SERVICE K_REVISION
    K_CONFIGURATION DYNO PORT0 PORT1 REDIS_TLS_URL REDIS_HOST REDIS_PORT REDIS_DB POD_NAME POD_IP NODE_NAME
    POD_NAMESPACE HOST_IP OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_ENDPOINT DD_AGENT_HOST DD_ENV SENTRY_DSN
    RAILWAY_ENVIRONMENT RENDER FLY_APP_NAME FLY_REGION PRIMARY_REGION WEBSITE_HOSTNAME XDG_RUNTIME_DIR INVOCATION_ID
    JOURNAL_STREAM SYSTEMD_EXEC_PID LISTEN_PID LISTEN_FDS NOTIFY_SOCKET SSH_CONNECTION DISPLAY PS1 LS_COLORS WORKDIR
    PROXY_HOST DATABASE_URL LOG_FORMAT METRICS_PATH CONCURRENCY WEB_CONCURRENCY NO_COLOR FORCE_COLOR`.split(
      /\s+/
    )
  t.same(warned(...usual, ...serviceLinks, ...names), [])
})

t.test('variables of a Service are only left out where there is one', async t => {
  t.same(warned('CIO_WEBHOOK_PORT'), ['CIO_WEBHOOK_PORT is not a setting of this service: it has no effect'])
})

t.test('sources with a common key are warned about, by the id of the key', async t => {
  const source = (
    name: string,
    current: string,
    previous?: string
  ): readonly [string, Pick<Source, 'name' | 'keys'>] => [
    name,
    { name, keys: signingKeys(current, previous) }
  ]
  t.same(sharedKeys(new Map([source('default', 'a', 'b'), source('crm', 'c'), source('cdp', 'd')])), [])
  const [warning, ...rest] = sharedKeys(
    new Map([source('default', 'a', 'hunter2'), source('crm', 'hunter2'), source('cdp', 'd')])
  )
  t.match(warning, {
    sources: ['default', 'crm'],
    key: /^[0-9a-f]{8}$/,
    message: /^the sources default and crm have the same signing key: /
  })
  t.notMatch(JSON.stringify(warning), 'hunter2')
  t.same(rest, [])
})

t.test('a Vault on another host without TLS is warned about, an agent on this host is not', async t => {
  const warnings = (address: string, provider = 'vault') =>
    unencryptedStore({ SECRETS_PROVIDER: provider, VAULT_ADDR: address }).length
  for (const address of ['http://vault.internal:8200', 'HTTP://10.0.0.1:8200', 'http://127.evil.example']) {
    t.equal(warnings(address), 1, address)
  }
  for (const address of [
    'https://vault.internal',
    'http://127.0.0.1:8100',
    'http://[::1]:8100',
    'nonsense'
  ]) {
    t.equal(warnings(address), 0, address)
  }
  t.equal(warnings('http://vault.internal:8200', 'environment'), 0, 'it is not used')
})

t.test('a consumer with a misspelt type is warned about, by its name', async t => {
  const consumers = [
    { name: 'crm', types: ['emial.*', 'email.*'] },
    { name: 'all', types: undefined }
  ]
  t.same(misspeltConsumerTypes(consumers), [
    {
      consumer: 'crm',
      message: 'consumer crm: the type emial.* is probably misspelt: Customer.io documents email, not emial'
    }
  ])
})
