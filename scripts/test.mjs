// Runs compiled test files, each in a process of its own, and prints TAP: one line a file, all of one that failed.
// Usage: node scripts/test.mjs [--jobs=N] [--timeout=SECONDS] [FILE...]
//
// Without files: all but the slow ones, those named *.slow.test.ts and those in test/{aws,faults,image,slow}. The
// runner of `tap` loads its plugins into each test and into each process that a test starts, which costs more than
// most of them; it is what measures coverage (`npx tap`).
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const SLOW = /\.slow\.test\.js$|^build\/test\/(aws|faults|image|slow)\//
/** How tap ends a file's output; it leaves out what is 0. */
const TOTALS = /^# \{ (total: .*) \}$/m
/** How much longer than its test a process may take to end. */
const ENDING_SECONDS = 30
/** How long the rest of the output of a process that has ended is waited for. */
const OUTPUT_MS = 1000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    // One more than there are cores: many tests wait for a timeout or a server.
    jobs: { type: 'string', default: String(availableParallelism() + 1) },
    timeout: { type: 'string', default: '240' }
  }
})
const files = positionals.length > 0 ? positionals : plainTests()
const sums = { total: 0, pass: 0, fail: 0, skip: 0, todo: 0 }
const startedMs = performance.now()

process.stdout.write(`TAP version 14\n1..${files.length}\n`)
const waiting = [...files.entries()]
await Promise.all(Array.from({ length: Number(values.jobs) }, work))
const counts = Object.entries(sums).filter(([, count]) => count > 0)
process.stdout.write(`# { ${counts.map(([name, count]) => `${name}: ${count}`).join(', ')} }\n`)
process.stdout.write(`# time=${Math.round(performance.now() - startedMs)}ms\n`)

function plainTests() {
  return readdirSync('build/test', { recursive: true })
    .map(file => join('build/test', file))
    .filter(file => file.endsWith('.test.js') && !SLOW.test(file))
    .sort()
}

async function work() {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [index, file] = next
    const fileStartedMs = performance.now()
    const { passed, output } = await runFile(file)
    count(passed, output)
    const seconds = ((performance.now() - fileStartedMs) / 1000).toFixed(1)
    if (!passed) process.stdout.write(output.replace(/^(?=.)/gm, '    '))
    process.stdout.write(`${passed ? 'ok' : 'not ok'} ${index + 1} - ${file} # time=${seconds}s\n`)
    if (!passed) process.exitCode = 1
  }
}

function runFile(file) {
  return new Promise(resolve => {
    const child = spawn(process.execPath, ['--enable-source-maps', file], {
      env: { ...process.env, TAP_TIMEOUT: values.timeout },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const limitMs = (Number(values.timeout) + ENDING_SECONDS) * 1000
    let timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
    const printed = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => printed.push(chunk))
    const finish = code => {
      clearTimeout(timer)
      resolve({ passed: code === 0, output: Buffer.concat(printed).toString() })
    }
    // A server that a killed test has left behind holds the pipes open.
    child.once('exit', code => {
      clearTimeout(timer)
      timer = setTimeout(finish, OUTPUT_MS, code)
    })
    child.once('close', finish)
  })
}

function count(passed, output) {
  const totals = TOTALS.exec(output)?.[1] ?? ''
  for (const name of Object.keys(sums)) {
    sums[name] += Number(new RegExp(`\\b${name}: (\\d+)`).exec(totals)?.[1] ?? 0)
  }
  // It broke off, or failed outside its tests.
  if (!passed && !/\bfail: /.test(totals)) {
    sums.total++
    sums.fail++
  }
}
