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
    env: { PATH: process.env['PATH'], AWS_REGION: 'eu-central-1' }
  })
  if (!/^(true|false)\n$/.test(stdout)) throw new Error(stderr)
  return stdout === 'true\n'
}

t.test('the SDK of AWS is loaded only when it is configured', async t => {
  const connect = (provider: string) => `
    await import('@src/service.js')
    const { connectProvider } = await import('@src/settings/secrets/open-secrets.js')
    await connectProvider({ provider: '${provider}', prefix: '', refreshMs: 1000 })`
  t.equal(loadsSdk(connect('environment')), false)
  t.equal(loadsSdk(connect('aws')), true)
})
