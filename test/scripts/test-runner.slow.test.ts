import { spawnSync } from 'node:child_process'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

const files = {
  'a passed test': { code: "t.test('a', async t => t.pass())", counts: 'total: 1, pass: 1' },
  'a failed assertion': { code: "t.test('a', async t => t.fail())", counts: 'total: 1, fail: 1' },
  'an error in a test': {
    code: "t.test('a', async () => { throw new Error('a') })",
    counts: 'total: 1, fail: 1'
  },
  'an error before the first test': {
    code: "t.setTimeout(9000)\nawait null\nthrow new Error('a')",
    counts: 'total: 1, fail: 1'
  },
  'no assertion': { code: 't.setTimeout(9000)', counts: 'total: 1, fail: 1' },
  'an exit with 0 before the first test': {
    code: "process.exit(0)\nt.test('a', async t => t.pass())",
    counts: 'total: 1, fail: 1'
  },
  'a skipped test': { code: "t.test('a', { skip: 'why' }, async () => {})", counts: 'total: 1, skip: 1' }
}

// The runner of tap, which measures coverage, sets variables that change what a test prints.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TAP')))

for (const [name, { code, counts }] of Object.entries(files)) {
  const passes = !counts.includes('fail')
  t.test(`a file with ${name} ${passes ? 'passes' : 'fails'}`, async t => {
    const folder = temporaryFolder()
    t.teardown(() => rmSync(folder, { recursive: true }))
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
    const file = join(folder, 'a.test.mjs')
    writeFileSync(file, `import t from 'tap'\n${code}\n`)
    const { status, stdout } = spawnSync(process.execPath, ['scripts/test.mjs', file], {
      encoding: 'utf8',
      env
    })
    t.match(stdout, `# { ${counts} }`)
    t.equal(status, passes ? 0 : 1)
  })
}
