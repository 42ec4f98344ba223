import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

const SCRIPT = fileURLToPath(new URL('../../src/credentials/keep-key.js', import.meta.url))

function keepKey(t: Test) {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'key')
  return {
    file,
    files: () => readdirSync(folder).sort(),
    read: (name = 'key') => readFileSync(join(folder, name), 'utf8'),
    run: (given?: string) =>
      execFileSync(process.execPath, [SCRIPT, file], {
        encoding: 'utf8',
        env: given === undefined ? {} : { CIO_WEBHOOK_SECRET: given }
      })
  }
}

t.test(
  'the first run makes a key of 32 random bytes, for its owner’s eyes, and a second leaves it',
  async t => {
    const { file, files, read, run } = keepKey(t)
    t.equal(run(), `${file}: a random signing key was made\n`)
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
  t.equal(run(' as shown '), `${file}: holds the key of CIO_WEBHOOK_SECRET now\n`)
  t.equal(run(' as shown '), `${file}: holds the key of CIO_WEBHOOK_SECRET already\n`)
  run()
  t.equal(read(), ' as shown \n')
  t.same(files(), ['key'])
})

t.test(
  'another key takes its place, also after a run that was cut off, and the old one stays beside it',
  async t => {
    const { file, files, read, run } = keepKey(t)
    run('first')
    writeFileSync(`${file}.new`, 'cut o', { mode: 0o600 })
    t.equal(
      run('second'),
      `${file}: holds the key of CIO_WEBHOOK_SECRET now, ${file}_previous the one before\n`
    )
    t.equal(read(), 'second\n')
    t.equal(read('key_previous'), 'first\n')
    run('third')
    t.equal(read('key_previous'), 'second\n')
    t.same(files(), ['key', 'key_previous'])
  }
)

t.test('an empty file holds no key', async t => {
  const { file, read, run } = keepKey(t)
  writeFileSync(file, '\n')
  run()
  t.match(read(), /^[0-9a-f]{64}\n$/)
})

t.test('without a file it says how it is used', async t => {
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT], { encoding: 'utf8' })
  t.same({ status, stderr }, { status: 2, stderr: 'usage: node keep-key.js FILE\n' })
})
