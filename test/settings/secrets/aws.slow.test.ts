/**
 * AWS Secrets Manager, as moto's server plays it. Run by `npm run test:aws`, which finds or installs the server.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SecretsManager } from '@aws-sdk/client-secrets-manager'
import t from 'tap'
import { Secret } from '../../../src/secret.ts'
import { loadSettings } from '../../../src/settings/config.ts'
import { awsStore } from '../../../src/settings/secrets/aws.ts'
import { type SecretHandle, secretNameOf } from '../../../src/settings/secrets/secret-handle.ts'
import { testCommands } from '../../fixtures/commands-by-provider.ts'
import { shown, testRotations, testVersions } from '../../fixtures/rotations-by-provider.ts'
import { runToEnd } from '../../helpers/command.ts'
import { freePort, freeze, startServer, temporaryFolder } from '../../helpers/server.ts'

t.setTimeout(600_000)

const command = process.env['MOTO_SERVER']
if (command === undefined) throw new Error('MOTO_SERVER names no server: npm run test:aws does')

const port = await freePort()
const endpoint = `http://127.0.0.1:${port}`
const aws = {
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
  AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint,
  AWS_EC2_METADATA_DISABLED: 'true'
}
Object.assign(process.env, aws)
const server = await startServer({
  command,
  args: ['-H', '127.0.0.1', '-p', String(port)],
  ready: () =>
    fetch(`${endpoint}/moto-api/`).then(
      answer => answer.ok,
      () => false
    )
})
t.teardown(() => server.stop())
const client = new SecretsManager({})
t.teardown(() => client.destroy())
t.beforeEach(async () => {
  await fetch(`${endpoint}/moto-api/reset`, { method: 'POST' })
})

const store = awsStore('', 1000)
t.teardown(() => store.close())
/** A handle of its own each time: one keeps the values that it has read. */
function awsSecret(name: string): SecretHandle {
  const handle = store.find(name)
  if (handle === undefined) throw new Error('AWS has a place for every name')
  return handle
}

const provider = {
  name: 'AWS Secrets Manager',
  env: { ...aws, SECRETS_PROVIDER: 'aws', SECRETS_PREFIX: 'prod/' },
  credentials: [],
  find: awsSecret,
  create: async (name: string, value: string) => {
    try {
      await client.createSecret({ Name: name, SecretString: value })
    } catch {
      await client.putSecretValue({ SecretId: name, SecretString: value })
    }
  },
  interrupt: async () => {}
}

t.test('a new value becomes AWSCURRENT, the old one AWSPREVIOUS, until it is forgotten', t =>
  testVersions(t, provider)
)

t.test('a value that waits as AWSPENDING is moved, not copied', async t => {
  await client.createSecret({ Name: 'cio-api-key', SecretString: 'one' })
  await client.putSecretValue({
    SecretId: 'cio-api-key',
    SecretString: 'two',
    VersionStages: ['AWSPENDING'],
    ClientRequestToken: '11111111-1111-1111-1111-111111111111'
  })
  const secret = awsSecret('cio-api-key')
  t.same(shown(await secret.versions()), ['one', undefined, 'two'])
  await secret.promote(new Secret('two'))
  t.same(shown(await secret.versions()), ['two', 'one', undefined])
  const { VersionIdsToStages } = await client.describeSecret({ SecretId: 'cio-api-key' })
  t.same(VersionIdsToStages?.['11111111-1111-1111-1111-111111111111'], ['AWSCURRENT'])
})

t.test('a region that nothing names stops the start', async t => {
  const { AWS_REGION: region } = process.env
  delete process.env['AWS_REGION']
  t.teardown(() => Object.assign(process.env, { AWS_REGION: region }))
  await t.rejects(loadSettings({ SECRETS_PROVIDER: 'aws' }, ['appApiKey']), {
    name: 'ConfigError',
    message: /AWS_REGION is missing/
  })
})

t.test('the service starts with keys from AWS, and both rotations reach it without a restart', async t => {
  await testRotations(t, { ...provider, interrupt: () => freeze(server) })
  server.process.kill('SIGCONT')
})

t.test('every command runs with exactly the secrets that it needs, from AWS', async t => {
  let count = 0
  await testCommands(t, async secrets => {
    const SECRETS_PREFIX = `run-${++count}/`
    for (const [variable, value] of Object.entries(secrets)) {
      await client.createSecret({ Name: SECRETS_PREFIX + secretNameOf(variable), SecretString: value })
    }
    return { ...aws, SECRETS_PROVIDER: 'aws', SECRETS_PREFIX }
  })
})

t.test('a signing key with stray characters is refused with its place', async t => {
  await client.createSecret({ Name: 'cio-webhook-secret', SecretString: '"topsecret"' })
  await t.rejects(loadSettings({ SECRETS_PROVIDER: 'aws' }, ['sources']), {
    name: 'ConfigError',
    message:
      'CIO_WEBHOOK_SECRET: cio-webhook-secret in AWS Secrets Manager is not allowed: it begins with a quotation mark; give the signing key alone, as Customer.io shows it'
  })
})

t.test('`leaks` looks for the keys that lie there, and can not run without their provider', async t => {
  const key = 'a-key-that-lies-in-the-provider'
  await client.createSecret({ Name: 'cio-webhook-secret', SecretString: key })
  const path = join(temporaryFolder(), 'app.log')
  writeFileSync(path, `key=${key}\n`)
  const env = { ...aws, SECRETS_PROVIDER: 'aws' }
  const found = await runToEnd(['leaks', path], env)
  t.match(found, { code: 1, stdout: /CIO_WEBHOOK_SECRET \(certain\)/ })
  t.notMatch(found.stdout + found.stderr, key)
  const elsewhere = { ...env, AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${await freePort()}` }
  t.match(await runToEnd(['leaks', path], elsewhere), { code: 2, stderr: /[A-Z_]+: .* can't be read/ })
})
