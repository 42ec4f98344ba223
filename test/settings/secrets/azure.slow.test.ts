/**
 * Azure Key Vault, played by local servers: see test/helpers/azure-secrets.ts. Run by `npm run test:clouds`.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createReader } from '../../../src/settings/read-variables.ts'
import { type SecretHandle, secretNameOf } from '../../../src/settings/secrets/secret-handle.ts'
import { testCommands } from '../../fixtures/commands-by-provider.ts'
import { shown, testRotations, testVersions } from '../../fixtures/rotations-by-provider.ts'
import { playAzure } from '../../helpers/azure-secrets.ts'
import { cloudCertificate } from '../../helpers/cloud-certificate.ts'
import { freePort, temporaryFolder } from '../../helpers/server.ts'

t.setTimeout(600_000)

const certificate = cloudCertificate()
const azure = await playAzure(certificate)
t.teardown(() => {
  for (const server of [azure.vault, azure.entra, azure.identity]) server.stop()
})

type Env = Readonly<Record<string, string>>
const base: Env = { SECRETS_PROVIDER: 'azure', AZURE_KEY_VAULT_URL: azure.vault.url }
/** A container of App Service or Container Apps has these two, which the library reads itself. */
const ofLibrary: Env = {
  IDENTITY_ENDPOINT: `${azure.identity.url}/msi/token`,
  IDENTITY_HEADER: azure.identityHeader
}
Object.assign(process.env, ofLibrary)
const application: Env = {
  ...base,
  AZURE_AUTHORITY_HOST: azure.entra.url,
  AZURE_TENANT_ID: 'played-tenant',
  AZURE_CLIENT_ID: 'played-client'
}
const withSecret: Env = { ...application, AZURE_CLIENT_SECRET: azure.clientSecret }

function open(t: Test, env: Env, name: string): SecretHandle {
  const { secrets } = createReader(env)
  t.teardown(() => secrets.close())
  const handle = secrets.find(name)
  if (handle === undefined) throw new Error('Azure has a place for every name')
  return handle
}
const add = async (name: string, value: string) => azure.add(name, value)
const errorOf = (t: Test, env: Env, name = 'name'): Promise<unknown> =>
  open(t, env, name)
    .versions()
    .catch((thrown: unknown) => thrown)
const printed = (error: unknown): string =>
  `${error instanceof Error ? error.stack : error}${JSON.stringify(error)}`

// Before any other that uses the managed identity: the library keeps its token for the whole process.
t.test('a machine without an identity is named, without what its server says', async t => {
  azure.identity.answer = { status: 400, body: { error: 'hunter2' } }
  const error = await errorOf(t, base)
  azure.identity.answer = undefined
  t.match(error, {
    name: 'StoreError',
    message: /^no token from Microsoft Entra ID.*; check the identity of the pod/
  })
  t.notMatch(printed(error), 'hunter2')
})

t.test(
  'a new version becomes the current value, the one before it the previous one, until it is disabled',
  t =>
    testVersions(t, {
      name: 'Azure Key Vault',
      env: { ...withSecret, SECRETS_PREFIX: 'prod-' },
      credentials: [],
      find: name => open(t, withSecret, name),
      create: add,
      interrupt: async () => {}
    })
)

t.test('the newest of many versions is found on whatever page of the list it is', async t => {
  for (let version = 1; version <= 7; version++) azure.add('many', `value ${version}`)
  t.same(shown(await open(t, withSecret, 'many').versions()), ['value 7', 'value 6', undefined])
})

t.test(
  'a managed identity, a workload identity and a client secret log in, once for all requests',
  async t => {
    azure.add('one', 'value')
    const tokenFile = join(temporaryFolder(), 'token')
    writeFileSync(tokenFile, `${azure.assertion}\n`)
    const rows: readonly (readonly [env: Env, server: typeof azure.entra, request: string])[] = [
      [base, azure.identity, 'GET /msi/token'],
      [withSecret, azure.entra, 'POST /played-tenant/oauth2/v2.0/token'],
      [
        { ...application, AZURE_FEDERATED_TOKEN_FILE: tokenFile },
        azure.entra,
        'POST /played-tenant/oauth2/v2.0/token'
      ]
    ]
    for (const [env, server, request] of rows) {
      server.requests.length = 0
      const handle = open(t, env, 'one')
      t.match(shown(await handle.versions()), ['value'])
      t.match(shown(await handle.versions()), ['value'])
      t.equal(server.requests.filter(one => one === request).length, 1, request)
    }
  }
)

t.test('a secret that may not be read counts as missing, but not the signing key', async t => {
  azure.denied.add('cio-site-id').add('cio-webhook-secret')
  t.teardown(() => azure.denied.clear())
  t.equal(await createReader(withSecret).secret('CIO_SITE_ID'), undefined)
  await t.rejects(createReader(withSecret).secret('CIO_WEBHOOK_SECRET'), {
    name: 'ConfigError',
    message:
      /^CIO_WEBHOOK_SECRET: cio-webhook-secret in Azure Key Vault can't be read \(403 Forbidden from \S+; the identity needs the permission list/
  })
})

t.test('a failure names the cause and the next step, and no credential', async t => {
  const closed = `127.0.0.1:${await freePort()}`
  const rows: readonly (readonly [env: Env, name: string, message: RegExp])[] = [
    [{ SECRETS_PROVIDER: 'azure' }, 'name', /^AZURE_KEY_VAULT_URL is missing/],
    [{ ...base, AZURE_CLIENT_SECRET: 'hunter2' }, 'name', /^AZURE_CLIENT_ID is missing/],
    [
      { ...base, AZURE_CLIENT_SECRET: 'hunter2', AZURE_CLIENT_ID: 'c' },
      'name',
      /^AZURE_TENANT_ID is missing/
    ],
    [
      { ...application, AZURE_CLIENT_SECRET: 'hunter2' },
      'name',
      /^no token from Microsoft Entra ID: AADSTS7000215; check the identity/
    ],
    [
      { ...application, AZURE_FEDERATED_TOKEN_FILE: '/nowhere' },
      'name',
      /^AZURE_FEDERATED_TOKEN_FILE=\/nowhere: the file can't be read \(ENOENT\)/
    ],
    [
      { ...withSecret, AZURE_AUTHORITY_HOST: `https://${closed}` },
      'name',
      /^no token from Microsoft Entra ID/
    ],
    [
      { ...withSecret, AZURE_KEY_VAULT_URL: `https://${closed}` },
      'name',
      new RegExp(`^no reply from ${closed}: ECONNREFUSED`)
    ],
    [withSecret, 'prod/name', /^SECRETS_PREFIX: "prod\/name" is not the name of a secret in Azure Key Vault/]
  ]
  for (const [env, name, message] of rows) {
    const error = await errorOf(t, env, name)
    t.match(error, { message }, String(message))
    for (const secret of ['hunter2', azure.token, azure.clientSecret]) t.notMatch(printed(error), secret)
  }
  for (const status of [401, 429, 500]) {
    azure.vault.answer = { status, body: { error: { code: 'SomeCode', message: azure.token } } }
    const error = await errorOf(t, withSecret)
    t.match(error, { message: new RegExp(`^${status} SomeCode from 127`) })
    t.notMatch(printed(error), azure.token)
  }
  azure.vault.answer = { status: 200, body: '<html>' }
  t.match(await errorOf(t, withSecret), { message: /check AZURE_KEY_VAULT_URL/ })
  azure.vault.answer = undefined
})

t.test('the token of a workload is read again when it was not there', async t => {
  azure.add('one', 'value')
  const path = join(temporaryFolder(), 'token')
  const handle = open(t, { ...application, AZURE_FEDERATED_TOKEN_FILE: path }, 'one')
  await t.rejects(handle.versions(), { message: /the file can't be read \(ENOENT\)/ })
  writeFileSync(path, azure.assertion)
  t.match(shown(await handle.versions()), ['value'])
  rmSync(path)
})

t.test('every command runs with exactly the secrets that it needs, from Azure', async t => {
  let count = 0
  await testCommands(t, async secrets => {
    const SECRETS_PREFIX = `run-${++count}-`
    for (const [variable, value] of Object.entries(secrets))
      azure.add(SECRETS_PREFIX + secretNameOf(variable), value)
    return { ...base, ...ofLibrary, NODE_EXTRA_CA_CERTS: certificate.certFile, SECRETS_PREFIX }
  })
})

t.test('the service starts with keys from Azure, and both rotations reach it without a restart', t =>
  testRotations(t, {
    name: 'Azure Key Vault',
    env: { ...withSecret, NODE_EXTRA_CA_CERTS: certificate.certFile, SECRETS_PREFIX: 'service-' },
    credentials: [azure.token, azure.clientSecret],
    find: name => open(t, withSecret, name),
    create: add,
    interrupt: async () => {
      azure.vault.answer = { status: 503, body: { error: { code: 'ServiceUnavailable' } } }
    }
  })
)
