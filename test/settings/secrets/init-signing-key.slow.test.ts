import { execFileSync, spawnSync } from 'node:child_process'
import { lstatSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../../helpers/server.ts'

const SCRIPT = fileURLToPath(new URL('../../../src/settings/secrets/init-signing-key.js', import.meta.url))

function keepKey(t: Test) {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'key')
  return {
    file,
    files: () => readdirSync(folder).sort(),
    read: (name = 'key') => readFileSync(join(folder, name), 'utf8'),
    run: (given = '') =>
      execFileSync(process.execPath, [SCRIPT, file], { encoding: 'utf8', env: {}, input: given }),
    /** @returns the exit code and what it said on standard error */
    fail: (given = '') => {
      const { status, stderr } = spawnSync(process.execPath, [SCRIPT, file], {
        encoding: 'utf8',
        input: given
      })
      return `${status}: ${stderr}`
    }
  }
}

t.test(
  'the first run makes a key of 32 random bytes, for its owner’s eyes, and a second leaves it',
  async t => {
    const { file, files, read, run } = keepKey(t)
    t.equal(run(), `${file}: a random signing key was generated\n`)
    const key = read()
    t.match(key, /^[0-9a-f]{64}\n$/)
    t.equal(statSync(file).mode & 0o777, 0o600)
    t.equal(run(''), `${file}: the signing key of an earlier run stays\n`)
    t.equal(read(), key)
    t.same(files(), ['key'])
  }
)

t.test('a first run with the operator’s key keeps that one, and a later one without it too', async t => {
  const { file, files, read, run } = keepKey(t)
  t.equal(run('as shown\n'), `${file}: contains this key now\n`)
  t.equal(run('as shown'), `${file}: contains this key already\n`)
  run()
  t.equal(read(), 'as shown\n')
  t.same(files(), ['key'])
})

t.test(
  'another key takes its place, also after a run that was cut off, and the old one stays beside it',
  async t => {
    const { file, files, read, run } = keepKey(t)
    run('first')
    writeFileSync(`${file}.new`, 'cut o', { mode: 0o600 })
    t.equal(run('second'), `${file}: contains this key now, ${file}_previous the one before\n`)
    t.equal(read(), 'second\n')
    t.equal(read('key_previous'), 'first\n')
    run('third')
    t.equal(read('key_previous'), 'second\n')
    t.same(files(), ['key', 'key_previous'])
  }
)

t.test('a key with stray characters is refused, and the file stays as it is', async t => {
  const { file, read, run, fail } = keepKey(t)
  run('good')
  for (const [key, reason] of [
    ['"quoted"', 'it begins with a quotation mark'],
    ['twice\n\n', 'it ends with a line break'],
    ['\ufeffmark', 'it begins with a byte order mark: save it as UTF-8 without one']
  ]) {
    t.equal(fail(key), `2: the key on standard input: ${reason}\n`)
  }
  t.equal(read(), 'good\n')
  t.equal(statSync(file).mode & 0o777, 0o600)
})

t.test('a link that somebody put in the way is not followed', async t => {
  const { file, files, read, run, fail } = keepKey(t)
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  const victim = join(folder, 'victim')
  writeFileSync(victim, 'not a key\n', { mode: 0o644 })

  symlinkSync(victim, file)
  t.equal(fail('key'), `2: ${file} is a symbolic link: remove it\n`)
  t.equal(fail(), `2: ${file} is a symbolic link: remove it\n`)
  rmSync(file)

  run('first')
  for (const name of ['key.new', 'key_previous', 'key_previous.new'])
    symlinkSync(victim, join(file, '..', name))
  run('second')
  t.equal(readFileSync(victim, 'utf8'), 'not a key\n', 'what the links point to is as it was')
  t.same([read(), read('key_previous')], ['second\n', 'first\n'])
  t.same(files(), ['key', 'key_previous'])
  for (const name of files()) {
    const info = lstatSync(join(file, '..', name))
    t.ok(info.isFile(), name)
    t.equal(info.mode & 0o777, 0o600, name)
  }

  rmSync(file)
  execFileSync('mkfifo', [file])
  t.equal(fail('key'), `2: ${file} is not a regular file: remove it\n`)
})

t.test('a folder that is a link is refused', async t => {
  const [real, links] = [temporaryFolder(), temporaryFolder()]
  t.teardown(() => {
    for (const folder of [real, links]) rmSync(folder, { recursive: true })
  })
  const linked = join(links, 'keys')
  symlinkSync(real, linked)
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, join(linked, 'key')], { encoding: 'utf8' })
  t.same({ status, stderr }, { status: 2, stderr: `${linked} is not a directory\n` })
  t.same(readdirSync(real), [])
})

t.test('an empty file holds no key', async t => {
  const { file, read, run } = keepKey(t)
  writeFileSync(file, '\n')
  run()
  t.match(read(), /^[0-9a-f]{64}\n$/)
})

t.test('without a file it says how it is used', async t => {
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8' })
  t.same({ status, stderr }, { status: 2, stderr: 'usage: node init-signing-key.js FILE [< KEY]\n' })
})
