import { spawnSync } from 'node:child_process'
import t from 'tap'

/** Writes the address of each module that is imported. A hook, because the cache of `require` has no ES modules. */
const hook = `
  import { writeSync } from 'node:fs'
  export async function load(url, context, next) {
    writeSync(1, url + '\\n')
    return next(url, context)
  }`

const packages = [
  '@aws-sdk/client-secrets-manager',
  'google-auth-library',
  '@azure/msal-node',
  '@opentelemetry'
]

/** Opens the settings as the service does, and looks for a secret. @returns the packages that were loaded for it */
function loadedFor(env: Record<string, string>): readonly string[] {
  const source = (path: string): string => JSON.stringify(new URL(`../../../src/${path}`, import.meta.url))
  const code = `
    import { register } from 'node:module'
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hook)}`)})
    await import(${source('service.js')})
    const { loadSettings } = await import(${source('settings/config.js')})
    await loadSettings(process.env, ['appApiKey']).catch(() => {})
    console.log('end')
    process.exit()`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    cwd: new URL('../../..', import.meta.url).pathname,
    env: { PATH: process.env['PATH'], ...env }
  })
  if (!stdout.includes('settings/config.js') || !stdout.endsWith('end\n')) throw new Error(stderr || stdout)
  return packages.filter(name => stdout.includes(`/node_modules/${name}/`))
}

/** Nothing listens there, so a request fails at once. */
const NOWHERE = '127.0.0.1:1'
const providers: readonly (readonly [loaded: string, env: Record<string, string>])[] = [
  [
    '@aws-sdk/client-secrets-manager',
    {
      SECRETS_PROVIDER: 'aws',
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_ENDPOINT_URL: `http://${NOWHERE}`
    }
  ],
  [
    'google-auth-library',
    { SECRETS_PROVIDER: 'gcp', METADATA_SERVER_DETECTION: 'none', GCE_METADATA_HOST: NOWHERE }
  ],
  [
    '@azure/msal-node',
    {
      SECRETS_PROVIDER: 'azure',
      AZURE_KEY_VAULT_URL: `https://${NOWHERE}`,
      AZURE_AUTHORITY_HOST: `https://${NOWHERE}`,
      AZURE_TENANT_ID: 'test',
      AZURE_CLIENT_ID: 'test',
      AZURE_CLIENT_SECRET: 'test'
    }
  ]
]

t.test('without a secrets provider and a collector, no library for them is loaded', async t => {
  t.same(loadedFor({}), [])
})

for (const [loaded, env] of providers) {
  t.test(`${loaded} is loaded when a secret is read from its provider, and not before`, async t => {
    t.same(loadedFor({ ...env, CIO_APP_API_KEY: 'k' }), [], 'the variable comes first')
    t.same(loadedFor(env), [loaded])
  })
}
