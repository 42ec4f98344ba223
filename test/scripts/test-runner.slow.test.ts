import { spawnSync } from 'node:child_process'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../helpers/server.ts'

interface Example {
  readonly code: string
  readonly counts: string
  /** If no assertion failed. */
  readonly reason?: string
}

const files: Readonly<Record<string, Example>> = {
  'a passed test': { code: "t.test('a', async t => t.pass())", counts: 'total: 1, pass: 1' },
  'a failed assertion': { code: "t.test('a', async t => t.fail())", counts: 'total: 1, fail: 1' },
  'an error in a test': {
    code: "t.test('a', async () => { throw new Error('a') })",
    counts: 'total: 1, fail: 1'
  },
  'an error before the first test': {
    code: "t.setTimeout(9000)\nawait null\nthrow new Error('a')",
    counts: 'total: 1, fail: 1',
    reason: 'exit code 1, after "Error: a"'
  },
  'no assertion': {
    code: 't.setTimeout(9000)',
    counts: 'total: 1, fail: 1',
    reason: 'ended without a result'
  },
  'an exit with 0 before the first test': {
    code: "process.exit(0)\nt.test('a', async t => t.pass())",
    counts: 'total: 1, fail: 1',
    reason: 'ended without a result'
  },
  'an error in a teardown': {
    code: "t.teardown(() => { throw new Error('a') })\nt.test('a', async t => t.pass())",
    counts: 'total: 2, pass: 1, fail: 1',
    reason: 'exit code 1, after "Error: a"'
  },
  'an error at its exit': {
    code: "t.test('a', async t => t.pass())\nprocess.once('exit', () => { throw new TypeError('a') })",
    counts: 'total: 2, pass: 1, fail: 1',
    reason: 'exit code 1, after "TypeError: a"'
  },
  'an await that never ends': {
    code: "t.test('a', async t => t.pass())\nawait new Promise(() => {})",
    counts: 'total: 2, pass: 1, fail: 1',
    reason: 'exit code 13: an await at top level was never settled'
  },
  'a signal': {
    code: "t.test('a', async () => process.kill(process.pid, 'SIGKILL'))",
    counts: 'total: 1, fail: 1',
    reason: 'ended by SIGKILL'
  },
  'a skipped test': { code: "t.test('a', { skip: 'why' }, async () => {})", counts: 'total: 1, skip: 1' }
}

// The runner of tap sets variables that change what a test prints.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TAP')))

for (const [name, { code, counts, reason }] of Object.entries(files)) {
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
    // What .ci/run prints at its end.
    const failures = stdout.split('\n').filter(line => /^ *not ok /.test(line))
    if (passes) t.same(failures, [])
    else t.ok(failures.length >= 2, 'the file, and why', { stdout })
    if (reason !== undefined) t.equal(failures[0]?.trim(), `not ok - ${file}: ${reason}`)
  })
}
