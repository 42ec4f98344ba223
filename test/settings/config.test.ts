import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { ConfigError } from '../../src/errors.ts'
import { loadSettings, serviceNeeds } from '../../src/settings/config.ts'

type Environment = Record<string, string>

const production: Environment = {
  NODE_ENV: 'production',
  CIO_WEBHOOK_SECRET: 'k3y',
  REDIS_URL: 'redis://r:6379'
}
const load = (env: Environment) => loadSettings(env, serviceNeeds)
const refusal = async (env: Environment): Promise<string> => {
  try {
    await load(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'accepted'
}

t.test('production needs a key and a Redis, and has defaults for everything else', async t => {
  const config = await load(production)
  t.match(config, {
    production: true,
    http: { port: 3000, host: '0.0.0.0', shutdownDelayMs: 5000 },
    logLevel: 'info',
    workers: 1,
    signature: { toleranceSeconds: 691_200 - 3600 },
    admission: {
      allowed: undefined,
      loopbackAllowed: false,
      policy: 'enforce',
      trustedProxies: [],
      maxFailures: 60,
      windowMs: 60_000
    },
    log: {
      keyPrefix: 'cio:',
      partitions: 1,
      windowMs: 691_200_000,
      durability: { level: 'server' },
      retentionMs: 86_400_000,
      maxLength: 5_000_000,
      parked: { maxAgeMs: 2_592_000_000, maxBytes: 67_108_864 },
      deadLetters: { maxAgeMs: 2_592_000_000, maxBytes: 67_108_864 }
    },
    metrics: { port: undefined }
  })
  t.equal(config.sources.get('default')?.keys[0]?.secret.reveal(), 'k3y')
})

t.test('a bad setting stops the start with one line that says what to do, without a secret', async t => {
  const rows: readonly (readonly [string, Environment, RegExp])[] = [
    ['no key', { NODE_ENV: 'production', REDIS_URL: 'redis://r' }, /^CIO_WEBHOOK_SECRET is missing: give/],
    ['no Redis', { NODE_ENV: 'production', CIO_WEBHOOK_SECRET: 'k' }, /^REDIS_URL is missing: give/],
    [
      'an empty key',
      { ...production, CIO_WEBHOOK_SECRET: '' },
      /^CIO_WEBHOOK_SECRET is set but empty: unset it, or give the signing key alone/
    ],
    [
      'an empty previous key',
      { ...production, CIO_WEBHOOK_SECRET_PREVIOUS: '' },
      /^CIO_WEBHOOK_SECRET_PREVIOUS is set but empty: unset it, or give the signing key alone/
    ],
    [
      'an empty port',
      { ...production, PORT: '' },
      /^PORT is set but empty: unset it, or give a whole number/
    ],
    [
      'a port that is none',
      { ...production, PORT: '80a' },
      /^PORT=80a is not allowed: give a whole number from 0 to 65535$/
    ],
    ['a port too large', { ...production, PORT: '65536' }, /^PORT=65536/],
    ['a fraction', { ...production, PORT: '1.5' }, /^PORT=1\.5/],
    ['a negative number', { ...production, RATE_LIMIT_MAX: '-1' }, /^RATE_LIMIT_MAX=-1/],
    [
      'an unknown level',
      { ...production, LOG_LEVEL: 'loud' },
      /^LOG_LEVEL=loud is not allowed: give one of fatal, error/
    ],
    ['an unknown environment', { ...production, NODE_ENV: 'prod' }, /^NODE_ENV=prod/],
    [
      'an address that is none',
      { ...production, CIO_ALLOWED_IPS: '10.0.0.1,nowhere' },
      /^CIO_ALLOWED_IPS=.* is not allowed: item 2 of 2 is wrong; give \* or a/
    ],
    ['an empty item', { ...production, CIO_ALLOWED_IPS: '10.0.0.1,' }, /^CIO_ALLOWED_IPS=/],
    [
      'a prefix too long',
      { ...production, TRUSTED_PROXIES: '10.0.0.0/33' },
      /^TRUSTED_PROXIES=.* is not allowed: give a comma/
    ],
    [
      'everybody as a proxy',
      { ...production, TRUSTED_PROXIES: '10.0.0.1,::/0' },
      /^TRUSTED_PROXIES=10.0.0.1,::\/0 is not/
    ],
    ['a proxy that is a number', { ...production, TRUSTED_PROXIES: '1' }, /^TRUSTED_PROXIES=1 is not/],
    ['* among others', { ...production, CIO_ALLOWED_IPS: '*,10.0.0.1' }, /^CIO_ALLOWED_IPS=/],
    [
      'a durability that is none',
      { ...production, DURABILITY: 'replicated' },
      /^DURABILITY=replicated is not/
    ],
    ['no replicas', { ...production, DURABILITY: 'replicated:0' }, /^DURABILITY=/],
    ['a line break', { ...production, HOST: 'a\nb' }, /^HOST=a\\nb is not allowed/],
    [
      'a Redis that is none',
      { ...production, REDIS_URL: 'http://:hunter2@r' },
      /^REDIS_URL is not allowed: it must begin with redis:\/\/ or rediss:\/\/; give redis:/
    ],
    ['two Redises', { ...production, REDIS_SENTINELS: 'a:1' }, /^REDIS_URL and REDIS_SENTINELS are set/],
    [
      'sentinels without ports',
      { NODE_ENV: 'production', CIO_WEBHOOK_SECRET: 'k', REDIS_SENTINELS: 'a,b' },
      /^REDIS_SENTINELS=/
    ],
    [
      'URLs where only hosts and ports belong',
      {
        NODE_ENV: 'production',
        CIO_WEBHOOK_SECRET: 'k',
        REDIS_SENTINELS: 'redis://:hunter2@s1:26379,redis://:hunter2@s2:26379'
      },
      /^REDIS_SENTINELS=\[secret\]@s2:26379 is not allowed: item 1 of 2 is wrong; give a comma-separated list, each a host:port$/
    ],
    [
      'a login where only hosts and ports belong',
      { NODE_ENV: 'production', CIO_WEBHOOK_SECRET: 'k', REDIS_CLUSTER_NODES: 'n1:1, app:hunter2@n2:2' },
      /^REDIS_CLUSTER_NODES=\[secret\]@n2:2 is not allowed/
    ],
    [
      'a password with a blank',
      { ...production, CIO_APP_URL: 'ftp://app:hunter2 hunter2@proxy/' },
      /^CIO_APP_URL=\[secret\]@proxy\/ is not allowed/
    ],
    [
      'a URL of another kind',
      { ...production, CIO_APP_URL: 'ftp://app:hunter2@proxy/' },
      /^CIO_APP_URL=\[secret\]@proxy\/ is not allowed/
    ],
    [
      'people',
      { ...production, CONSOLE_OPERATORS: 'ada@example.com, ' },
      /^CONSOLE_OPERATORS=ada@example\.com, {2}is/
    ],
    [
      'a key and its file',
      { ...production, CIO_WEBHOOK_SECRET_FILE: '/x' },
      /^CIO_WEBHOOK_SECRET and CIO_WEBHOOK_SECRET_FILE are both set/
    ],
    [
      'a file that is not there',
      { NODE_ENV: 'production', REDIS_URL: 'redis://r', CIO_WEBHOOK_SECRET_FILE: '/nowhere/k' },
      /^CIO_WEBHOOK_SECRET_FILE=\/nowhere\/k: the file is missing or empty$/
    ],
    ['a previous key alone', { CIO_WEBHOOK_SECRET_PREVIOUS: 'k' }, /^CIO_WEBHOOK_SECRET is missing/],
    [
      'a tolerance beyond the window',
      { ...production, DEDUPE_WINDOW_SECONDS: '100', CIO_SIGNATURE_TOLERANCE_SECONDS: '101' },
      /^CIO_SIGNATURE_TOLERANCE_SECONDS=101 is not allowed: at most DEDUPE_WINDOW_SECONDS=100/
    ],
    [
      'a policy that is none',
      { ...production, PII_POLICY: '/nowhere.json' },
      /^PII_POLICY=\/nowhere\.json: /
    ],
    [
      'a field name with a blank',
      { ...production, PII_REDACT_FIELDS: 'a b' },
      /^PII_REDACT_FIELDS=a b is not/
    ]
  ]
  for (const [name, env, expected] of rows) {
    const message = await refusal(env)
    t.match(message, expected, name)
    t.notMatch(message, /\n|hunter2/, `${name}: one line, no secret`)
  }
})

t.test('settings are parsed', async t => {
  const config = await load({
    ...production,
    CIO_ALLOWED_IPS: ' 10.0.0.0/8 , ::1 ',
    TRUSTED_PROXIES: '10.1.0.0/16',
    DURABILITY: 'replicated:2',
    DEDUPE_WINDOW_SECONDS: '60',
    CIO_WEBHOOK_SECRET_PREVIOUS: 'old',
    SHUTDOWN_DELAY_SECONDS: '0',
    METRICS_PORT: '9100'
  })
  t.match(config, {
    admission: { allowed: ['10.0.0.0/8', '::1'], trustedProxies: ['10.1.0.0/16'] },
    log: { durability: { level: 'replicated', replicas: 2 }, windowMs: 60_000 },
    signature: { toleranceSeconds: 30 },
    http: { shutdownDelayMs: 0 },
    metrics: { port: 9100 }
  })
  t.same(
    config.sources.get('default')?.keys.map(key => key.label),
    ['current', 'previous']
  )
  t.equal((await load({ ...production, CIO_ALLOWED_IPS: '*' })).admission.allowed, '*')
})

t.test('a standalone Redis, Sentinel and Cluster are told apart', async t => {
  const base = { NODE_ENV: 'production', CIO_WEBHOOK_SECRET: 'k' }
  t.match(
    (
      await load({
        ...base,
        REDIS_SENTINELS: 'a:1,[::1]:2',
        REDIS_SENTINEL_MASTER: 'm',
        REDIS_PASSWORD: 'hunter2'
      })
    ).redis,
    {
      kind: 'sentinel',
      nodes: [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 }
      ],
      master: 'm'
    }
  )
  t.match((await load({ ...base, REDIS_CLUSTER_NODES: 'a:1', REDIS_TLS: 'on' })).redis, {
    kind: 'cluster',
    login: { tls: true }
  })
  t.match((await load({ NODE_ENV: 'development', CIO_WEBHOOK_SECRET: 'k' })).redis, { kind: 'private' })
})

t.test('a secret can be a mounted file, without its last line break', async t => {
  const folder = t.testdir({ key: 'from a file\n', empty: '\n' })
  const env = { NODE_ENV: 'production', REDIS_URL: 'redis://r' }
  const config = await load({ ...env, CIO_WEBHOOK_SECRET_FILE: join(folder, 'key') })
  t.equal(config.sources.get('default')?.keys[0]?.secret.reveal(), 'from a file')
  t.match(
    await refusal({ ...env, CIO_WEBHOOK_SECRET_FILE: join(folder, 'empty') }),
    /the file is missing or empty/
  )
})

t.test('printed settings show no secret', async t => {
  const config = await load({ ...production, REDIS_URL: 'redis://:hunter2@r', PII_HASH_KEY: 'hunter3' })
  for (const text of [
    JSON.stringify(config),
    inspect(config, { depth: 10 }),
    `${inspect([...config.sources], { depth: 9 })}`
  ]) {
    t.notMatch(text, /k3y|hunter/)
  }
})

t.test('further sources come from a file, with their own keys and schemes', async t => {
  const folder = t.testdir({
    key: 'cdp key\n',
    'sources.json': JSON.stringify({
      sources: [
        { name: 'campaigns', secret: 'c', secretPrevious: 'b', idPointer: '/message/id' },
        { name: 'pipelines', secretFile: join(t.testdirName, 'key'), schemes: ['cdp'] }
      ]
    })
  })
  const { sources } = await load({ ...production, CIO_SOURCES_FILE: join(folder, 'sources.json') })
  t.same([...sources.keys()], ['default', 'campaigns', 'pipelines'])
  t.match(sources.get('campaigns'), { schemes: ['v0', 'body'], idPointer: '/message/id' })
  t.equal(sources.get('pipelines')?.keys[0]?.secret.reveal(), 'cdp key')
})

t.test(
  'a source has the PII policy of its own, else the one that is set, else that of its scheme',
  async t => {
    const folder = t.testdir({
      'own.json': JSON.stringify({ fields: { userId: 'redact' }, text: [] }),
      'sources.json': JSON.stringify({
        sources: [
          { name: 'campaigns', secret: 'c', idHeader: 'X-CIO-Idempotency-Key' },
          { name: 'pipelines', secret: 'p', schemes: ['cdp'] },
          { name: 'named', secret: 'n', policy: 'basic' },
          { name: 'filed', secret: 'f', policy: join(t.testdirName, 'own.json') }
        ]
      })
    })
    const shown = async (env: Record<string, string>, name: string): Promise<unknown> => {
      const { sources } = await load({
        ...production,
        CIO_SOURCES_FILE: join(folder, 'sources.json'),
        ...env
      })
      return sources.get(name)?.sanitizer.value({ userId: 'ada@example.com', subject: 'x' })
    }
    const rows: readonly (readonly [string, Record<string, string>, string, object])[] = [
      ['cdp', {}, 'pipelines', { userId: /^[0-9a-f]{64}$/ }],
      ['no policy', {}, 'default', { subject: '[REDACTED]' }],
      ['no policy', {}, 'campaigns', { subject: '[REDACTED]' }],
      ['its own', {}, 'named', { userId: 'ada@example.com', subject: 'x' }],
      ['its own, from a file', {}, 'filed', { userId: '[REDACTED]', subject: 'x' }],
      ['set for all', { PII_POLICY: 'basic' }, 'pipelines', { userId: 'ada@example.com', subject: 'x' }],
      ['set for all', { PII_POLICY: 'basic' }, 'default', { userId: 'ada@example.com', subject: 'x' }],
      ['set for all, its own', { PII_POLICY: 'pipelines' }, 'filed', { userId: '[REDACTED]', subject: 'x' }]
    ]
    for (const [name, env, source, expected] of rows) {
      t.match(await shown(env, source), expected, `${source}: ${name}, ${JSON.stringify(env)}`)
    }
    const { sources } = await load({ ...production, CIO_SOURCES_FILE: join(folder, 'sources.json') })
    t.equal(sources.get('campaigns')?.idHeader, 'x-cio-idempotency-key', 'names of headers have no case')
  }
)

t.test('an invalid sources file is named with line and key, and not repeated', async t => {
  const folder = t.testdir()
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ['no JSON', '{\n  "sources": [\n    { "name": hunter2 }\n  ]\n}', /line 3: not JSON/],
    ['nothing', '', /line 1: not JSON/],
    ['a comment', '{ // hunter2\n"sources": [] }', /line 1: not JSON/],
    ['no sources', '{\n"sources": []\n}', /line 2: sources: /],
    [
      'an unknown key',
      '{\n"sources": [\n{ "name": "a",\n"secret": "hunter2", "sekret": "hunter2" }\n]\n}',
      /line 4: sources\.0\.sekret: unknown key/
    ],
    [
      'a key twice',
      '{"sources": [{ "name": "a", "secret": "hunter2", "secretFile": "/x" }]}',
      /needs one of secret and secretFile/
    ],
    [
      'a misspelt key, which is therefore missing',
      '{"sources": [{ "nmae": "a", "secret": "hunter2" }]}',
      /sources\.0\.nmae: unknown key/
    ],
    ['no key', '{"sources": [{ "name": "a" }]}', /needs one of secret and secretFile/],
    ['an empty key', '{"sources": [\n{ "name": "a",\n "secret": "" }]}', /line 3: sources\.0\.secret: /],
    ['a bad name', '{"sources": [{ "name": "A b", "secret": "hunter2" }]}', /sources\.0\.name: must be/],
    [
      'the default source',
      '{"sources": [{ "name": "default", "secret": "hunter2" }]}',
      /must not be "default"/
    ],
    [
      'a name twice',
      '{"sources": [{ "name": "a", "secret": "hunter2" }, { "name": "a", "secret": "hunter2" }]}',
      /sources\.1\.name: is taken by a source above/
    ],
    [
      'an unknown scheme',
      '{"sources": [{ "name": "a", "secret": "hunter2", "schemes": ["v1"] }]}',
      /sources\.0\.schemes\.0: /
    ],
    [
      'a pointer that is none',
      '{"sources": [{ "name": "a", "secret": "hunter2", "idPointer": "id" }]}',
      /must be a JSON pointer/
    ],
    [
      'a header that cannot be one',
      '{"sources": [{ "name": "a", "secret": "hunter2", "idHeader": "x key" }]}',
      /sources\.0\.idHeader: must be the name of a header/
    ],
    [
      'a policy that is none',
      '{"sources": [{ "name": "a", "secret": "hunter2", "policy": "/nowhere" }]}',
      /policy of the source a: not a PII policy/
    ],
    [
      'a key file that is missing',
      '{"sources": [{ "name": "a", "secretFile": "/nowhere" }]}',
      /: a: secretFile=\/nowhere: the file is missing or empty$/
    ]
  ]
  for (const [name, text, expected] of rows) {
    const path = join(folder, 'sources.json')
    mkdirSync(folder, { recursive: true })
    writeFileSync(path, text)
    const message = await refusal({ ...production, CIO_SOURCES_FILE: path })
    t.match(message, expected, name)
    t.match(message, /^CIO_SOURCES_FILE=[^\n]+$/, `${name}: one line, the variable first`)
    t.notMatch(message, /hunter2/, `${name}: not repeated`)
  }
})

t.test('a development start generates a key once, readable by its owner only', async t => {
  const folder = join(t.testdir(), 'data')
  const first = await load({ DATA_DIR: folder })
  const again = await load({ DATA_DIR: folder })
  const key = first.generatedKey?.reveal() ?? ''
  t.match(key, /^[0-9a-f]{64}$/)
  t.equal(again.generatedKey, undefined, 'shown once')
  t.equal(again.sources.get('default')?.keys[0]?.secret.reveal(), key)
  const { mode } = (await import('node:fs')).statSync(join(folder, 'webhook_secret'))
  t.equal(mode & 0o777, 0o600)
  t.match(
    await refusal({ DATA_DIR: folder, CIO_WEBHOOK_SECRET_PREVIOUS: 'k' }),
    /^CIO_WEBHOOK_SECRET is missing/,
    'a previous key alone is refused, also beside a development key'
  )
})

t.test('a variable that a Kubernetes Service sets is refused with what to do', async t => {
  for (const name of ['METRICS_PORT', 'PORT', 'HOST', 'WORKERS']) {
    t.match(
      await refusal({ ...production, [name]: 'tcp://10.0.0.1:9100' }),
      new RegExp(`^${name}=tcp://10\\.0\\.0\\.1:9100 is not allowed: give .+ "enableServiceLinks: false"`)
    )
  }
  t.match(
    await refusal({ ...production, REDIS_URL: 'tcp://10.0.0.1:6379' }),
    /^REDIS_URL is not.+enableServiceLinks/
  )
  t.notMatch(await refusal({ ...production, METRICS_PORT: 'none' }), /Kubernetes/)
})

t.test('a login in a URL is not described', async t => {
  const { describe } = await loadSettings({ ...production, CIO_APP_URL: 'https://app:hunter2@proxy' }, [
    'describe'
  ])
  t.strictSame(
    (await describe()).changed.filter(({ name }) => name === 'CIO_APP_URL'),
    [{ name: 'CIO_APP_URL', value: '[secret]@proxy', fallback: undefined }]
  )
})

t.test('a secret of a provider that was not read is described with "if it exists"', async t => {
  const env = {
    ...production,
    SECRETS_PROVIDER: 'vault',
    VAULT_ADDR: 'http://127.0.0.1:1',
    VAULT_TOKEN: 'token'
  }
  const { describe } = await loadSettings(env, ['describe'])
  t.strictSame(
    (await describe()).secrets.filter(({ name }) => /^REDIS/.test(name)),
    [
      { name: 'REDIS_URL', place: 'the environment variable REDIS_URL' },
      { name: 'REDIS_PASSWORD', place: 'secret/redis-password in Vault, if it exists' }
    ]
  )
})
