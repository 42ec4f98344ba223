import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../src/errors.ts'
import { createDataDir } from '../../src/settings/data-dir.ts'
import { temporaryFolder } from '../helpers/server.ts'

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))

t.test('the folder and its parents are created, once and again', async t => {
  const dataDir = join(folder, 'a/b')
  for (let run = 0; run < 2; run++) createDataDir(dataDir, join(dataDir, 'redis'), 0o700)
  t.ok(statSync(dataDir).isDirectory())
  t.equal(statSync(join(dataDir, 'redis')).mode & 0o777, 0o700)
})

t.test('a relative folder is created', async t => {
  mkdirSync(join(folder, 'here'))
  const before = process.cwd()
  process.chdir(join(folder, 'here'))
  t.teardown(() => process.chdir(before))
  createDataDir('./data')
  t.ok(statSync(join(folder, 'here/data')).isDirectory())
})

t.test('a folder that cannot be created aborts the start at once, with DATA_DIR and the cause', async t => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const rows = [
    [file, 'a file is in the way'],
    [join(file, 'data'), 'a file is in the way'],
    // mkdir -p of Node never returns from this one.
    ['/proc/x', 'ENOENT'],
    ['/proc/x/y', 'ENOENT']
  ] as const
  for (const [dataDir, reason] of rows) {
    t.throws(
      () => createDataDir(dataDir),
      new ConfigError(
        `DATA_DIR=${dataDir} cannot be created (${reason}): give a folder that this user can write to`
      ),
      dataDir
    )
  }
})
