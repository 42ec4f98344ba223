import { spawnSync } from 'node:child_process'
import t from 'tap'

/** Runs a module program, and says whether the SDK of AWS was loaded by its end. */
function loadsSdk(program: string): boolean {
  const source = (path: string): string => new URL(`../../../src/${path}`, import.meta.url).href
  const code = `
    import { createRequire } from 'node:module'
    ${program.replace(/@src\/([\w/.-]+)/g, (_, path: string) => source(path))}
    const loaded = Object.keys(createRequire(import.meta.url).cache)
    console.log(loaded.some(path => path.includes('client-secrets-manager')))`
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    cwd: new URL('../../..', import.meta.url).pathname,
    // Nothing listens there, so a request fails at once.
    env: {
      PATH: process.env['PATH'],
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_ENDPOINT_URL: 'http://127.0.0.1:1'
    }
  })
  if (!/^(true|false)\n$/.test(stdout)) throw new Error(stderr)
  return stdout === 'true\n'
}

t.test('the SDK of AWS is loaded when a secret is read from it, and not before', async t => {
  const connect = (env: object, act = '') => `
    await import('@src/service.js')
    const { loadSettings } = await import('@src/settings/config.js')
    const { secrets } = await loadSettings(${JSON.stringify(env)}, ['appApiKey'])${act}`
  const aws = { SECRETS_PROVIDER: 'aws' }
  t.equal(loadsSdk(connect({})), false)
  t.equal(loadsSdk(connect({ ...aws, CIO_APP_API_KEY: 'k' })), false, 'the variable comes first')
  t.equal(loadsSdk(connect(aws, '.catch(() => ({}))')), true)
})
