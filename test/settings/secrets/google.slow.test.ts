/**
 * Google Secret Manager, played by a local server: see test/helpers/google-secrets.ts. Run by `npm run test:clouds`.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createReader } from '../../../src/settings/read-variables.ts'
import { type SecretHandle, secretNameOf } from '../../../src/settings/secrets/secret-handle.ts'
import { testCommands } from '../../fixtures/commands-by-provider.ts'
import { shown, testRotations, testVersions } from '../../fixtures/rotations-by-provider.ts'
import { cloudCertificate } from '../../helpers/cloud-certificate.ts'
import { playGoogle } from '../../helpers/google-secrets.ts'
import { freePort, temporaryFolder } from '../../helpers/server.ts'

t.setTimeout(600_000)

const certificate = cloudCertificate()
const google = await playGoogle(certificate)
t.teardown(() => {
  google.api.stop()
  google.metadata.stop()
})

type Env = Readonly<Record<string, string>>
/** google-auth-library reads these itself. Without the second one, it looks for the metadata server for 3 s only. */
const ofLibrary: Env = {
  GCE_METADATA_HOST: google.metadataHost,
  METADATA_SERVER_DETECTION: 'assume-present'
}
Object.assign(process.env, ofLibrary)
const ofMachine: Env = { SECRETS_PROVIDER: 'gcp', GOOGLE_SECRET_MANAGER_URL: google.url }
const env: Env = { ...ofMachine, GOOGLE_CLOUD_PROJECT: 'played-project' }
const ofCommands: Env = { ...env, ...ofLibrary, NODE_EXTRA_CA_CERTS: certificate.certFile }

function open(t: Test, env: Env, name: string): SecretHandle {
  const { secrets } = createReader(env)
  t.teardown(() => secrets.close())
  const handle = secrets.find(name)
  if (handle === undefined) throw new Error('Google has a place for every name')
  return handle
}
const add = async (name: string, value: string): Promise<void> => {
  google.secrets.set(name, [...(google.secrets.get(name) ?? []), value])
}

t.test(
  'a new version becomes the current value, the one before it the previous one, until it is disabled',
  t =>
    testVersions(t, {
      name: 'Google Secret Manager',
      env: { ...env, SECRETS_PREFIX: 'prod-' },
      credentials: [],
      find: name => open(t, env, name),
      create: add,
      interrupt: async () => {}
    })
)

t.test('the project is that of the machine, or the one that is given', async t => {
  await add('one', 'value')
  t.match(shown(await open(t, ofMachine, 'one').versions()), ['value'])
  await t.rejects(open(t, { ...env, GOOGLE_CLOUD_PROJECT: 'another-project' }, 'one').versions(), {
    message: /^403 PERMISSION_DENIED from \S+; the service account needs secretmanager\.versions\.access, and/
  })
})

t.test('a secret whose newest version is disabled has no value', async t => {
  google.secrets.set('disabled', ['one', undefined])
  t.same(shown(await open(t, env, 'disabled').versions()), [undefined, undefined, undefined])
})

t.test('a secret that may not be read counts as missing, but not the signing key', async t => {
  google.denied.add('cio-site-id').add('cio-webhook-secret')
  t.teardown(() => google.denied.clear())
  t.equal(await createReader(env).secret('CIO_SITE_ID'), undefined)
  await t.rejects(createReader(env).secret('CIO_WEBHOOK_SECRET'), {
    name: 'ConfigError',
    message:
      /^CIO_WEBHOOK_SECRET: cio-webhook-secret in Google Secret Manager can't be read \(403 PERMISSION_DENIED/
  })
})

t.test('a failure names the cause and the next step, and no token', async t => {
  const closed = `127.0.0.1:${await freePort()}`
  const rows: readonly (readonly [env: Env, name: string, message: RegExp])[] = [
    [
      { ...env, GOOGLE_SECRET_MANAGER_URL: `https://${closed}` },
      'name',
      new RegExp(`^no reply from ${closed}: ECONNREFUSED`)
    ],
    [
      { ...env, GOOGLE_SECRET_MANAGER_URL: google.metadata.url.replace('http:', 'https:') },
      'name',
      /it does not use TLS here/
    ],
    [env, 'prod/name', /^SECRETS_PREFIX: "prod\/name" is not the name of a secret at Google: only letters/]
  ]
  for (const [env, name, message] of rows) {
    const error: unknown = await open(t, env, name)
      .versions()
      .catch(thrown => thrown)
    t.match(error, { message }, String(message))
    t.notMatch(`${error instanceof Error ? error.stack : error}${JSON.stringify(error)}`, google.token)
  }
  for (const status of [401, 429, 500]) {
    google.api.answer = { status, body: { error: { status: 'SOME_STATUS', message: google.token } } }
    const error: unknown = await open(t, env, 'name')
      .versions()
      .catch(thrown => thrown)
    t.match(error, { message: new RegExp(`^${status} SOME_STATUS from 127`) })
    t.notMatch(String(error), google.token)
  }
  google.api.answer = { status: 200, body: '<html>' }
  await t.rejects(open(t, env, 'name').versions(), { message: /check GOOGLE_SECRET_MANAGER_URL/ })
  google.api.answer = undefined
})

t.test('a machine without a service account is named, without what the metadata server says', async t => {
  google.metadata.answer = { status: 404, headers: { 'metadata-flavor': 'Google' }, body: 'hunter2' }
  t.teardown(() => {
    google.metadata.answer = undefined
  })
  const error: unknown = await open(t, env, 'name')
    .versions()
    .catch(thrown => thrown)
  t.match(error, {
    name: 'StoreError',
    message: /^no token from Google.*; check the service account of the pod/
  })
  t.notMatch(String(error), 'hunter2')
})

t.test('a file of credentials that cannot be used is named, without its key', async t => {
  const path = join(temporaryFolder(), 'key.json')
  const key = {
    type: 'service_account',
    client_email: 'a@b.iam.gserviceaccount.com',
    private_key: 'hunter2',
    project_id: 'project'
  }
  writeFileSync(path, JSON.stringify(key))
  process.env['GOOGLE_APPLICATION_CREDENTIALS'] = path
  t.teardown(() => {
    delete process.env['GOOGLE_APPLICATION_CREDENTIALS']
  })
  const error: unknown = await open(t, env, 'name')
    .versions()
    .catch(thrown => thrown)
  t.match(error, {
    name: 'StoreError',
    message: /^no token from Google.*; check .+ GOOGLE_APPLICATION_CREDENTIALS$/
  })
  t.notMatch(`${error instanceof Error ? error.stack : error}`, 'hunter2')
})

t.test('every command runs with exactly the secrets that it needs, from Google', async t => {
  let count = 0
  await testCommands(t, async secrets => {
    const SECRETS_PREFIX = `run-${++count}-`
    for (const [variable, value] of Object.entries(secrets))
      await add(SECRETS_PREFIX + secretNameOf(variable), value)
    return { ...ofCommands, SECRETS_PREFIX }
  })
})

t.test('the service starts with keys from Google, and both rotations reach it without a restart', t =>
  testRotations(t, {
    name: 'Google Secret Manager',
    env: { ...ofCommands, SECRETS_PREFIX: 'service-' },
    credentials: [google.token],
    find: name => open(t, env, name),
    create: add,
    interrupt: async () => {
      google.api.answer = { status: 503, body: { error: { status: 'UNAVAILABLE' } } }
    }
  })
)
