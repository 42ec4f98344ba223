import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

interface System {
  readonly kernel?: 'Linux' | 'Darwin'
  readonly isDebian?: boolean
  readonly userId?: number
  readonly env?: NodeJS.ProcessEnv
  readonly aptGetStatus?: number
}

const SCRIPT = resolve('scripts/debian-packages.sh')
const REAL_TOOLS = ['mktemp', 'rm', 'tail']

/** Runs the script where only a few tools are installed, some of which pretend to be another system. */
function run(t: Test, args: readonly string[], system: System = {}) {
  const { kernel = 'Linux', isDebian = true, userId = 0, env = {}, aptGetStatus = 0 } = system
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const tool = (name: string, script: string): void =>
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  for (const name of REAL_TOOLS) {
    const path = ['/bin', '/usr/bin'].map(place => join(place, name)).find(existsSync)
    if (path === undefined) throw new Error(`${name} is not installed`)
    symlinkSync(path, join(bin, name))
  }
  tool('uname', `echo ${kernel}`)
  tool('id', `echo ${userId}`)
  // The script looks for Debian in /etc/os-release with grep.
  tool('grep', `exit ${isDebian ? 0 : 1}`)
  tool('apt-get', `echo "$*" >>${folder}/installed; echo 'E: reason'; exit ${aptGetStatus}`)
  tool('installed-program', '')
  const { status, stdout, stderr } = spawnSync('/bin/sh', [SCRIPT, ...args], {
    env: { PATH: bin, ...env },
    encoding: 'utf8'
  })
  const calls = join(folder, 'installed')
  return {
    status,
    output: stdout + stderr,
    aptGet: existsSync(calls) ? readFileSync(calls, 'utf8').trimEnd().split('\n') : []
  }
}

t.test('without a missing program, it is silent', async t => {
  t.same(run(t, ['installed-program']), { status: 0, output: '', aptGet: [] })
})

t.test('as root on Debian, it announces what it installs', async t => {
  t.same(run(t, ['installed-program', 'redis-server', 'promtool', 'package:lua-cjson']), {
    status: 0,
    output: 'installing Debian packages: redis-server prometheus lua-cjson (SKIP_PACKAGES=1 prevents this)\n',
    aptGet: ['update -qq', 'install -y -qq --no-install-recommends redis-server prometheus lua-cjson']
  })
})

t.test('if apt-get fails, its output and one sentence are printed', async t => {
  const failed = run(t, ['redis-server'], { aptGetStatus: 100 })
  t.equal(failed.status, 1)
  t.match(failed.output, /\nE: reason\ncannot install redis-server with apt-get \(its output is above\)\n$/)
  t.equal(run(t, ['--start', 'redis-server'], { aptGetStatus: 100 }).status, 0, 'npm start goes on')
})

t.test('everywhere else it installs nothing and prints the command', async t => {
  const systems: readonly [string, System, string][] = [
    ['not root', { userId: 1000 }, 'sudo apt-get install redis-server faketime'],
    ['SKIP_PACKAGES=1', { env: { SKIP_PACKAGES: '1' } }, 'apt-get install redis-server faketime'],
    ['macOS', { kernel: 'Darwin', userId: 501 }, 'brew install redis libfaketime'],
    [
      'another Linux',
      { isDebian: false },
      'the package manager of this system (on Debian: apt-get install redis-server faketime)'
    ]
  ]
  for (const [name, system, command] of systems) {
    const output = `missing: redis-server faketime; install with: ${command}\n`
    const programs = ['redis-server', 'faketime']
    t.same(run(t, programs, system), { status: 1, output, aptGet: [] }, name)
    t.same(run(t, ['--start', ...programs], system), { status: 0, output, aptGet: [] }, `${name}, npm start`)
  }
})

t.test('with a Redis of the user, or in production, npm start needs no redis-server', async t => {
  for (const [name, value] of [
    ['REDIS_URL', 'redis://redis:6379'],
    ['REDIS_URL_FILE', '/run/secrets/redis'],
    ['REDIS_SENTINELS', 'sentinel:26379'],
    ['REDIS_CLUSTER_NODES', 'node:6379'],
    ['NODE_ENV', 'production']
  ] as const) {
    const env = { [name]: value }
    t.same(run(t, ['--start', 'redis-server'], { env }), { status: 0, output: '', aptGet: [] }, name)
  }
})
