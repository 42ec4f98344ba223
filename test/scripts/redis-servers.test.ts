import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

const SCRIPT = resolve('scripts/redis-servers.sh')
const REAL_TOOLS = ['sed', 'head', 'tail', 'mkdir', 'mktemp', 'chmod', 'rm', 'mv']
const CANNOT = 'cannot install Redis 8 and Valkey 8: '

/** Runs the script where only a few tools are installed. @param tools pretended ones, as shell scripts */
function run(t: Test, args: readonly string[], tools: Readonly<Record<string, string>> = {}) {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [bin, cache] = [join(folder, 'bin'), join(folder, 'cache')]
  mkdirSync(bin)
  for (const name of REAL_TOOLS) {
    const path = ['/bin', '/usr/bin'].map(place => join(place, name)).find(existsSync)
    if (path === undefined) throw new Error(`${name} is not installed`)
    symlinkSync(path, join(bin, name))
  }
  for (const [name, script] of Object.entries(tools)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  }
  const { status, stdout, stderr } = spawnSync('/bin/sh', [SCRIPT, ...args], {
    env: { PATH: bin, XDG_CACHE_HOME: cache },
    encoding: 'utf8'
  })
  const left = existsSync(cache) ? readdirSync(join(cache, 'cio-webhook')) : []
  return { status, stdout, stderr, left }
}

t.test('an unknown server is refused', async t => {
  for (const args of [[], ['redis'], ['keydb-6']]) {
    t.same(run(t, args), {
      status: 1,
      stdout: '',
      stderr: 'usage: redis-servers.sh redis-8|valkey-8\n',
      left: []
    })
  }
})

t.test(
  'a system without apt, or whose apt has no mirror of Debian, is named, and nothing is left behind',
  async t => {
    const withoutApt = { status: 1, stdout: '', left: [] }
    t.same(run(t, ['valkey-8']), {
      ...withoutApt,
      stderr: `${CANNOT}this system has no apt-get and dpkg-deb\n`
    })
    const noMirror = run(t, ['valkey-8'], {
      'dpkg-deb': '',
      'apt-get': 'echo other-release https://mirror.example/'
    })
    t.match(noMirror, {
      ...withoutApt,
      stderr: /^cannot install Redis 8 and Valkey 8: apt has no mirror of Debian /
    })
  }
)

t.test(
  'if apt-get fails, its output is shown, and nothing is left behind',
  { skip: !isDebian() },
  async t => {
    const aptGet =
      'if [ "$1" = indextargets ]; then . /etc/os-release; echo "$VERSION_CODENAME https://mirror.example/"; else echo "E: reason"; exit 100; fi'
    const failed = run(t, ['valkey-8'], { 'dpkg-deb': '', 'apt-get': aptGet })
    t.match(failed, { status: 1, stdout: '', left: [] })
    t.match(failed.stderr, /\nE: reason\ncannot install .*: the output of apt-get is above\n$/)
  }
)

function isDebian(): boolean {
  return existsSync('/usr/share/keyrings/debian-archive-keyring.gpg')
}
