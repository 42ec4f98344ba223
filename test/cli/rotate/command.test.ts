import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { rotateCommand } from '../../../src/cli/rotate/command.ts'
import { runHere } from '../../helpers/command.ts'
import { startCustomerIo } from '../../helpers/customer-io.ts'
import { temporaryFolder } from '../../helpers/server.ts'

const [OLD, NEW] = ['old-key-0123456789', 'new-key-0123456789']

t.test('an operator rotates the Track API key, and sees no key in what is printed', async t => {
  const cio = await startCustomerIo(t)
  cio.trackKeys.set(`site:${OLD}`, 4711).set(`site:${NEW}`, 4711)
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'secrets'))
  const path = join(folder, 'secrets', 'cio-api-key')
  writeFileSync(path, OLD)
  writeFileSync(`${path}-v2`, NEW)
  const env = {
    CIO_API_KEY_FILE: path,
    CIO_SITE_ID: 'site',
    CIO_TRACK_URL: cio.trackUrl,
    DATA_DIR: join(folder, 'data')
  }
  const rotated = await runHere(rotateCommand, ['--drain', '0s'], env)
  t.match(rotated, { code: 0, stdout: /^Done\.$/m, stderr: '' })
  t.equal(readFileSync(path, 'utf8'), `${NEW}\n`)
  const status = await runHere(rotateCommand, ['status', '--json'], env)
  const early = await runHere(rotateCommand, ['finish', '--json'], env)
  t.match(status, { code: 1, stdout: /"due":true/ }, 'a scheduler can check the exit code')
  t.match(early, { code: 1, stdout: /^{"outcome":"failed",.*it still works/ })
  cio.trackKeys.delete(`site:${OLD}`)
  const finished = await runHere(rotateCommand, ['finish'], env)
  t.match(finished, { code: 0, stdout: /is gone/ })
  for (const { stdout, stderr } of [rotated, status, early, finished]) {
    t.notMatch(stdout + stderr, OLD)
    t.notMatch(stdout + stderr, NEW)
  }
})

t.test('a key in the environment is checked, but only the operator can switch it', async t => {
  const cio = await startCustomerIo(t)
  cio.trackKeys.set(`site:${OLD}`, 4711).set(`site:${NEW}`, 4711)
  const env = { CIO_SITE_ID: 'site', CIO_API_KEY: OLD, CIO_API_KEY_V2: NEW, CIO_TRACK_URL: cio.trackUrl }
  const { code, stdout } = await runHere(rotateCommand, [], env)
  t.equal(code, 2)
  t.match(stdout, /^ok {4}ask Customer.io about the new key: accepted/m)
  t.match(
    stdout,
    /^FAIL {2}switch: no command can change the environment variable CIO_API_KEY: give its file/m
  )
})

t.test('an invalid option and a missing variable are named', async t => {
  const runs = [
    [[], {}, /CIO_SITE_ID is missing/],
    [['--drain', 'long'], {}, /--drain long: give a number/],
    [['webhook-key', '--source', 'crm'], {}, /--source crm: no such source/]
  ] as const
  for (const [args, env, message] of runs) await t.rejects(runHere(rotateCommand, args, env), { message })
})
