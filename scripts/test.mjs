// Runs compiled test files, each in its own process, and prints TAP: one line per file, and the output of failed files.
// Usage: node scripts/test.mjs [--jobs=N] [--timeout=SECONDS] [FILE...]
//
// Without files it runs all except the slow ones: a test file is slow if it is named *.slow.test.ts. The runner of
// `tap` loads its plugins into each test and each process that a test starts, which takes longer than most tests. It
// is only used to measure coverage (`npx tap`).
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const SLOW = /\.slow\.test\.js$/
/** The last lines of tap's output; counts of 0 are left out. */
const TOTALS = /^# \{ (total: .*) \}$/m
/** Time for a process to exit after its test timed out. */
const EXIT_SECONDS = 30
/** Time to wait for the output of a process that has exited. */
const OUTPUT_MS = 1000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    // Twice as many as there are CPUs: many tests wait for a timeout or a server.
    jobs: { type: 'string', default: String(availableParallelism() * 2) },
    timeout: { type: 'string', default: '240' }
  }
})
const files = positionals.length > 0 ? positionals : fastTests()
const sums = { total: 0, pass: 0, fail: 0, skip: 0, todo: 0 }
const startedMs = performance.now()

process.stdout.write(`TAP version 14\n1..${files.length}\n`)
const waiting = [...files.entries()]
await Promise.all(Array.from({ length: Number(values.jobs) }, work))
const counts = Object.entries(sums).filter(([, count]) => count > 0)
process.stdout.write(`# { ${counts.map(([name, count]) => `${name}: ${count}`).join(', ')} }\n`)
process.stdout.write(`# time=${Math.round(performance.now() - startedMs)}ms\n`)

function fastTests() {
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
    const child = spawn(process.execPath, [file], {
      env: { ...process.env, TAP_TIMEOUT: values.timeout },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const limitMs = (Number(values.timeout) + EXIT_SECONDS) * 1000
    let timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
    const printed = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => printed.push(chunk))
    const finish = code => {
      clearTimeout(timer)
      child.stdout.destroy()
      child.stderr.destroy()
      const output = Buffer.concat(printed).toString()
      // tap can exit with 0 after an error outside the tests, before the first of them.
      resolve({ passed: code === 0 && TOTALS.test(output) && !/^not ok/m.test(output), output })
    }
    // A server left running by a killed test keeps the pipes open.
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
  // It crashed, or failed outside its tests.
  if (!passed && !/\bfail: /.test(totals)) {
    sums.total++
    sums.fail++
  }
}
