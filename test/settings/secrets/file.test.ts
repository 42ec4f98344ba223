import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Secret } from '../../../src/secret.ts'
import { fileSecret } from '../../../src/settings/secrets/file.ts'
import type { SecretVersions } from '../../../src/settings/secrets/secret-handle.ts'
import { mountSecret } from '../../helpers/mount.ts'
import { temporaryFolder } from '../../helpers/server.ts'

function folderFor(t: Test): string {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const shown = (versions: SecretVersions) => ({
  current: versions.current?.reveal(),
  previous: versions.previous?.reveal(),
  pending: versions.pending?.reveal()
})

t.test('a file is read less its line break; a missing or empty one is no secret', async t => {
  const path = join(folderFor(t), 'key')
  const secret = fileSecret({ path, previousPath: undefined })
  t.same(shown(await secret.versions()), { current: undefined, previous: undefined, pending: undefined })
  writeFileSync(path, '')
  t.equal((await secret.versions()).current, undefined)
  writeFileSync(path, 'one\n')
  writeFileSync(`${path}.pending`, 'two\r\n')
  t.same(shown(await secret.versions()), { current: 'one', previous: undefined, pending: 'two' })
})

t.test('a new value replaces the old one as a whole, and the old one stays beside it', async t => {
  const folder = folderFor(t)
  const path = join(folder, 'key')
  writeFileSync(path, 'one\n', { mode: 0o640 })
  writeFileSync(`${path}.pending`, 'two\n')
  const inode = statSync(path).ino
  const secret = fileSecret({ path, previousPath: undefined })

  await secret.promote(new Secret('two'))
  t.same(shown(await secret.versions()), { current: 'two', previous: 'one', pending: undefined })
  t.not(statSync(path).ino, inode, 'never a file that is half written')
  t.equal(statSync(path).mode & 0o777, 0o640, 'who may read it has not changed')
  t.equal(statSync(`${path}.previous`).mode & 0o777, 0o640)

  await secret.promote(new Secret('two'))
  t.same(shown(await secret.versions()), { current: 'two', previous: 'one', pending: undefined }, 'run twice')

  await secret.forgetPrevious()
  await secret.forgetPrevious()
  t.same(shown(await secret.versions()), { current: 'two', previous: undefined, pending: undefined })
  t.same(readdirSync(folder), ['key'], 'nothing is left over')
})

t.test('a previous file that the operator names is used instead', async t => {
  const folder = folderFor(t)
  const path = join(folder, 'key')
  const previousPath = join(folder, 'old-key')
  writeFileSync(path, 'one')
  const secret = fileSecret({ path, previousPath })
  await secret.promote(new Secret('two'))
  t.equal(readFileSync(previousPath, 'utf8'), 'one\n')
  t.equal(await secret.keepPrevious(new Secret('zero')), false, 'and is his alone to write otherwise')
})

t.test(
  'a mount of Kubernetes is read through its links, also after they are swapped, and never written',
  async t => {
    const folder = folderFor(t)
    mountSecret(folder, '..2026_11_24_a', 'one')
    symlinkSync(join('..data', 'key'), join(folder, 'key'))
    const secret = fileSecret({ path: join(folder, 'key'), previousPath: undefined })
    t.equal((await secret.versions()).current?.reveal(), 'one')

    mountSecret(folder, '..2026_11_24_b', 'two')
    t.equal((await secret.versions()).current?.reveal(), 'two')

    await t.rejects(secret.promote(new Secret('three')), {
      name: 'ReadOnlySecretError',
      message: /change the Secret object/
    })
    t.equal((await secret.versions()).current?.reveal(), 'two', 'nothing has changed')
    t.equal(await secret.keepPrevious(new Secret('one')), false)
  }
)

t.test('a place that can not be written changes nothing and says so', async t => {
  const path = join(folderFor(t), 'key')
  writeFileSync(path, 'one')
  // A folder cannot be replaced by a file: what even root is refused.
  mkdirSync(`${path}.previous`)
  const secret = fileSecret({ path, previousPath: undefined })
  await t.rejects(secret.promote(new Secret('two')))
  t.equal(readFileSync(path, 'utf8'), 'one')
})

t.test('another user’s folder is refused in words', async t => {
  const folder = folderFor(t)
  const path = join(folder, 'key')
  writeFileSync(path, 'one', { mode: 0o644 })
  chmodSync(folder, 0o555)
  const module = new URL('../../../src/settings/secrets/file.js', import.meta.url).href
  const secretModule = new URL('../../../src/secret.js', import.meta.url).href
  const program = `
    const { fileSecret } = await import(${JSON.stringify(module)})
    const { Secret } = await import(${JSON.stringify(secretModule)})
    if (process.getuid() === 0) process.setuid(65534)
    try { await fileSecret({ path: ${JSON.stringify(path)} }).promote(new Secret('two')) }
    catch (error) { console.log(error.name + ': ' + error.message) }`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
  t.match(stdout, /^ReadOnlySecretError: .*cannot be written \(EACCES\)/)
  t.equal(readFileSync(path, 'utf8'), 'one')
})
