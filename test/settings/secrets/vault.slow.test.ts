/**
 * Vault, as a real server of OpenBao. Run by `npm run test:vault`, which finds or installs the server.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createReader } from '../../../src/settings/read-variables.ts'
import { type SecretHandle, secretNameOf } from '../../../src/settings/secrets/secret-handle.ts'
import { testCommands } from '../../fixtures/commands-by-provider.ts'
import { shown, testRotations, testVersions } from '../../fixtures/rotations-by-provider.ts'
import { makeCertificate } from '../../helpers/certificate.ts'
import { runToEnd } from '../../helpers/command.ts'
import { startOpenBao, startTokenReview } from '../../helpers/openbao.ts'
import { freePort, temporaryFolder } from '../../helpers/server.ts'

t.setTimeout(600_000)

const command = process.env['BAO']
if (command === undefined) throw new Error('BAO names no server: npm run test:vault does')

const HOUR_MS = 3_600_000
const certificate = makeCertificate(join(temporaryFolder(), 'tls'), {
  names: 'IP:127.0.0.1',
  from: new Date(Date.now() - HOUR_MS),
  until: new Date(Date.now() + HOUR_MS)
})
const bao = await startOpenBao(command, certificate)
t.teardown(() => bao.stop())

type Env = Readonly<Record<string, string>>
const base: Env = { SECRETS_PROVIDER: 'vault', VAULT_ADDR: bao.url }
const asRoot: Env = { ...base, VAULT_TOKEN: bao.rootToken }

function open(t: Test, env: Env, name: string): SecretHandle {
  const { secrets } = createReader(env)
  t.teardown(() => secrets.close())
  const handle = secrets.find(name)
  if (handle === undefined) throw new Error('Vault has a place for every name')
  return handle
}
const read = async (handle: SecretHandle): Promise<string | undefined> =>
  (await handle.versions()).current?.reveal()

/** The least that the service needs, and `rotate`; as in docs/secrets.md. */
await bao.call('PUT', 'sys/policies/acl/cio-webhook', {
  policy: 'path "secret/data/prod/*" { capabilities = ["read"] }'
})
await bao.call('PUT', 'sys/policies/acl/cio-webhook-rotate', {
  policy: `path "secret/data/prod/*" { capabilities = ["read", "create", "update"] }
           path "secret/delete/prod/*" { capabilities = ["update"] }`
})
async function createToken(options: object): Promise<string> {
  const { auth } = await bao.call('POST', 'auth/token/create', options)
  return String(auth?.['client_token'])
}
await bao.call('POST', 'sys/auth/approle', { type: 'approle' })
/** @returns the variables of an AppRole with tokens of these seconds */
async function createAppRole(name: string, ttlSeconds: number, policies = ['cio-webhook']): Promise<Env> {
  const token = { token_ttl: ttlSeconds, token_max_ttl: ttlSeconds, token_policies: policies }
  await bao.call('POST', `auth/approle/role/${name}`, token)
  const role = (await bao.call('GET', `auth/approle/role/${name}/role-id`))['data']?.['role_id']
  const secret = (await bao.call('POST', `auth/approle/role/${name}/secret-id`))['data']?.['secret_id']
  return { ...base, VAULT_AUTH: 'approle', VAULT_ROLE_ID: String(role), VAULT_SECRET_ID: String(secret) }
}

t.test(
  'a new version becomes the current value, the one before it the previous one, until it is deleted',
  t =>
    testVersions(t, {
      name: 'Vault',
      env: { ...asRoot, SECRETS_PREFIX: 'prod/' },
      credentials: [],
      find: name => open(t, asRoot, name),
      create: bao.put,
      interrupt: async () => {}
    })
)

t.test('a promoted value leaves the other fields of a secret as they are', async t => {
  await bao.call('POST', 'secret/data/shared', { data: { value: 'one', owner: 'team' } })
  const handle = open(t, asRoot, 'shared')
  const { Secret } = await import('../../../src/secret.ts')
  await handle.promote(new Secret('two'))
  const { data } = await bao.call('GET', 'secret/data/shared')
  t.match(data?.['data'], { value: 'two', owner: 'team' })
})

t.test('a version without the field does not keep the corrected one after it out of use', async t => {
  await bao.call('POST', 'secret/data/corrected', { data: { key: 'one' } })
  await t.rejects(open(t, asRoot, 'corrected').versions(), { message: 'it has no text in the field "value"' })
  await bao.put('corrected', 'two')
  t.same(shown(await open(t, asRoot, 'corrected').versions()), ['two', undefined, undefined])
  await bao.put('corrected', 'three')
  t.same(shown(await open(t, asRoot, 'corrected').versions()), ['three', 'two', undefined])
})

t.test(
  'the minimal policy is enough to read, and a secret that it does not allow counts as missing',
  async t => {
    await bao.put('prod/cio-site-id', 'site')
    await bao.put('other/cio-site-id', 'other')
    const env = { ...base, VAULT_TOKEN: await createToken({ policies: ['cio-webhook'] }) }
    t.equal(
      await createReader({ ...env, SECRETS_PREFIX: 'prod/' })
        .secret('CIO_SITE_ID')
        .then(it => it?.reveal()),
      'site'
    )
    t.equal(await createReader({ ...env, SECRETS_PREFIX: 'other/' }).secret('CIO_SITE_ID'), undefined)
    await t.rejects(createReader({ ...env, SECRETS_PREFIX: 'other/' }).secret('CIO_WEBHOOK_SECRET'), {
      message: `CIO_WEBHOOK_SECRET: secret/other/cio-webhook-secret in Vault can't be read (403 permission denied from ${new URL(bao.url).host} for /v1/secret/data/other/cio-webhook-secret; the policy must allow read on this path)`
    })
  }
)

t.test('a token that can be renewed outlives its time to live', async t => {
  await bao.put('prod/renewed', 'value')
  const token = await createToken({ policies: ['default', 'cio-webhook'], ttl: '2s', renewable: true })
  const handle = open(t, { ...base, VAULT_TOKEN: token }, 'prod/renewed')
  t.equal(await read(handle), 'value')
  await sleep(4500)
  t.equal(await read(handle), 'value')
})

t.test('a token that cannot be renewed any more is replaced by a new log-in', async t => {
  await bao.put('prod/relogged', 'value')
  const handle = open(t, await createAppRole('short', 2), 'prod/relogged')
  for (let times = 0; times < 5; times++) {
    t.equal(await read(handle), 'value')
    await sleep(1000)
  }
})

t.test('a revoked token is noticed at the next read, and replaced', async t => {
  await bao.put('prod/revoked', 'value')
  const handle = open(t, await createAppRole('revoked', 3600), 'prod/revoked')
  t.equal(await read(handle), 'value')
  await bao.call('POST', 'sys/leases/revoke-prefix/auth/approle/login')
  t.equal(await read(handle), 'value')
})

t.test('a token in a file is read again when the old one has been revoked', async t => {
  await bao.put('prod/agent', 'value')
  const path = join(temporaryFolder(), 'token')
  const first = await createToken({ policies: ['default', 'cio-webhook'] })
  writeFileSync(path, `${first}\n`)
  const handle = open(t, { ...base, VAULT_TOKEN_FILE: path }, 'prod/agent')
  t.equal(await read(handle), 'value')
  writeFileSync(path, `${await createToken({ policies: ['default', 'cio-webhook'] })}\n`)
  await bao.call('POST', 'auth/token/revoke', { token: first })
  t.equal(await read(handle), 'value')
})

t.test('the service account of a pod logs in, and its token is read again at each log-in', async t => {
  const [first, second, other] = [jwt('one'), jwt('two'), jwt('other', 'cio:other')]
  const accounts = new Map([
    [first, 'cio:webhook'],
    [second, 'cio:webhook'],
    [other, 'cio:other']
  ])
  await bao.call('POST', 'sys/auth/kubernetes', { type: 'kubernetes' })
  await bao.call('POST', 'auth/kubernetes/config', {
    kubernetes_host: await startTokenReview(t, accounts),
    kubernetes_ca_cert: certificate.cert,
    disable_local_ca_jwt: true
  })
  await bao.call('POST', 'auth/kubernetes/role/cio', {
    bound_service_account_names: 'webhook',
    bound_service_account_namespaces: 'cio',
    token_policies: 'cio-webhook',
    token_ttl: 2,
    token_max_ttl: 2
  })
  await bao.put('prod/pod', 'value')
  const path = join(temporaryFolder(), 'jwt')
  writeFileSync(path, first)
  const env = { ...base, VAULT_AUTH: 'kubernetes', VAULT_ROLE: 'cio', VAULT_JWT_FILE: path }
  const handle = open(t, env, 'prod/pod')
  t.equal(await read(handle), 'value')
  accounts.delete(first)
  writeFileSync(path, second)
  await sleep(2500)
  t.equal(await read(handle), 'value')

  writeFileSync(path, other)
  await t.rejects(open(t, env, 'prod/pod').versions(), {
    name: 'StoreError',
    message:
      /^403 service account name not authorized from \S+ for \/v1\/auth\/kubernetes\/login; check VAULT_ROLE/
  })
  rmSync(path)
  await t.rejects(open(t, env, 'prod/pod').versions(), {
    message: `VAULT_JWT_FILE=${path}: the file can't be read (ENOENT)`
  })
})

t.test('a namespace and another mount are used', async t => {
  await bao.call('POST', 'sys/namespaces/team')
  await bao.call('POST', 'team/sys/mounts/kv', { type: 'kv', options: { version: '2' } })
  await bao.call('POST', 'team/kv/data/name', { data: { value: 'in the namespace' } })
  const env = { ...asRoot, VAULT_NAMESPACE: 'team', VAULT_MOUNT: 'kv' }
  t.equal(await read(open(t, env, 'name')), 'in the namespace')
})

t.test('a server whose CA is given is trusted, and no other', async t => {
  await bao.put('tls', 'value')
  const env = { ...asRoot, VAULT_ADDR: bao.tlsUrl }
  t.equal(await read(open(t, { ...env, VAULT_CACERT: certificate.certFile }, 'tls')), 'value')
  await t.rejects(open(t, env, 'tls').versions(), {
    message:
      /^no reply from 127\.0\.0\.1:\d+: DEPTH_ZERO_SELF_SIGNED_CERT, its certificate is not trusted; give its CA as VAULT_CACERT$/
  })
})

t.test('a failure names the cause and the next step, and no credential', async t => {
  await bao.call('POST', 'sys/mounts/one', { type: 'kv', options: { version: '1' } })
  await bao.call('POST', 'one/data/name', { value: 'hunter2' })
  await bao.call('POST', 'secret/data/other-field', { data: { password: 'hunter2' } })
  await bao.put('tls', 'value')
  const appRole = await createAppRole('wrong', 60)
  const closed = `127.0.0.1:${await freePort()}`
  const rows: readonly (readonly [env: Env, name: string, message: RegExp])[] = [
    [
      { ...base, VAULT_TOKEN: 'hunter2' },
      'name',
      /^403 permission denied from 127\.0\.0\.1:\d+ for \/v1\/auth\/token\/lookup-self; VAULT_TOKEN is wrong, has expired/
    ],
    [base, 'name', /^VAULT_TOKEN is missing/],
    [{ SECRETS_PROVIDER: 'vault' }, 'name', /^VAULT_ADDR is missing/],
    [{ ...base, VAULT_AUTH: 'approle' }, 'name', /^VAULT_ROLE_ID is missing/],
    [{ ...base, VAULT_AUTH: 'kubernetes' }, 'name', /^VAULT_ROLE is missing/],
    [
      { ...appRole, VAULT_SECRET_ID: 'hunter2' },
      'name',
      /^400 invalid role or secret id from \S+ for \/v1\/auth\/approle\/login; check VAULT_ROLE_ID/
    ],
    [
      { ...asRoot, VAULT_ADDR: `http://${closed}` },
      'name',
      new RegExp(`^no reply from ${closed}: ECONNREFUSED, nothing listens`)
    ],
    [
      { ...asRoot, VAULT_ADDR: 'http://vault.invalid:8200' },
      'name',
      /^no reply from vault\.invalid:8200: E[A-Z_]+, .+; check VAULT_ADDR$/
    ],
    [
      { ...asRoot, VAULT_ADDR: bao.url.replace('http:', 'https:') },
      'tls',
      /^no reply from .+: \w+, it does not use TLS here; check VAULT_ADDR$/
    ],
    [
      { ...asRoot, VAULT_ADDR: bao.tlsUrl.replace('https:', 'http:') },
      'tls',
      /^400 from \S+ for .+; see the log of Vault$/
    ],
    [
      { ...asRoot, VAULT_MOUNT: 'nowhere' },
      'name',
      /^404 no handler for route from \S+ for \/v1\/nowhere\/data\/name; check VAULT_MOUNT and VAULT_NAMESPACE$/
    ],
    [{ ...asRoot, VAULT_NAMESPACE: 'nowhere' }, 'name', /^404 namespace not found from \S+ for /],
    [{ ...asRoot, VAULT_MOUNT: 'one' }, 'name', /^VAULT_MOUNT=one is not a key\/value engine of version 2$/],
    [asRoot, 'other-field', /^it has no text in the field "value"$/],
    [
      { ...asRoot, VAULT_CACERT: '/nowhere' },
      'name',
      /^VAULT_CACERT=\/nowhere: the file can't be read \(ENOENT\)$/
    ],
    [asRoot, '../sys/raw', /^SECRETS_PREFIX: .+ is not the path of a secret in Vault/]
  ]
  for (const [env, name, message] of rows) {
    const error: unknown = await open(t, env, name)
      .versions()
      .catch(thrown => thrown)
    t.match(error, { message }, String(message))
    const printed = `${error instanceof Error ? error.stack : error}${JSON.stringify(error)}`
    for (const secret of ['hunter2', bao.rootToken]) t.notMatch(printed, secret)
  }
})

t.test('every command runs with exactly the secrets that it needs, from Vault', async t => {
  let count = 0
  const token = await createToken({ policies: ['default', 'cio-webhook'] })
  await testCommands(t, async secrets => {
    const SECRETS_PREFIX = `prod/run-${++count}/`
    for (const [variable, value] of Object.entries(secrets))
      await bao.put(SECRETS_PREFIX + secretNameOf(variable), value)
    return { ...base, VAULT_TOKEN: token, SECRETS_PREFIX }
  })
})

t.test('`leaks` looks for the token of Vault, too', async t => {
  const path = join(temporaryFolder(), 'app.log')
  writeFileSync(path, `token=${bao.rootToken}\n`)
  const found = await runToEnd(['leaks', path], asRoot)
  t.match(found, { code: 1, stdout: /VAULT_TOKEN \(certain\)/ })
  t.notMatch(found.stdout + found.stderr, bao.rootToken)
})

// The last one: it seals the server.
t.test('the service starts with keys from Vault, and both rotations reach it without a restart', async t => {
  const env = await createAppRole('service', 4, ['cio-webhook-rotate'])
  const prefixed = { ...env, SECRETS_PREFIX: 'prod/service/' }
  await testRotations(t, {
    name: 'Vault',
    env: prefixed,
    credentials: [env['VAULT_SECRET_ID'] ?? '', bao.rootToken],
    find: name => open(t, asRoot, name),
    create: bao.put,
    interrupt: () => bao.call('PUT', 'sys/seal')
  })
  await t.rejects(open(t, asRoot, 'name').versions(), {
    message: /^503 vault is sealed from \S+ for \/v1\/auth\/token\/lookup-self; unseal Vault, or wait/
  })
})

/** A token with the claims that the server reads before it asks Kubernetes. @param account `namespace:name` */
function jwt(id: string, account = 'cio:webhook'): string {
  const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  const [namespace, name] = account.split(':')
  const claims = {
    iss: 'kubernetes/serviceaccount',
    aud: ['vault'],
    sub: `system:serviceaccount:${account}`,
    iat: 1_700_000_000,
    nbf: 1_700_000_000,
    exp: 4_000_000_000,
    'kubernetes.io': { namespace, serviceaccount: { name, uid: account } }
  }
  return `${encoded({ alg: 'RS256' })}.${encoded(claims)}.${Buffer.from(id).toString('base64url')}`
}
