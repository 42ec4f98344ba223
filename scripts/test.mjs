// Runs compiled test files, each in its own process, and prints TAP: one line per file, and the output of failed files.
// Usage: node scripts/test.mjs [--jobs=N] [--timeout=SECONDS] [FILE...]
//
// Without files it runs all except the slow ones: a test file is slow if it is named *.slow.test.ts. `npx tap` runs the
// same files, but slower: it loads its plugins into each test, and into each process that a test starts.
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const SLOW = /\.slow\.test\.js$/
/** The last lines of tap's output; counts of 0 are left out. */
const TOTALS = /^# \{ (total: .*) \}$/m
/** The exit code of Node.js for it. */
const UNSETTLED_AWAIT = 13
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
    const { problem, output } = await runFile(file)
    const passed = problem === undefined
    count(passed, output)
    const seconds = ((performance.now() - fileStartedMs) / 1000).toFixed(1)
    if (!passed) process.stdout.write(`${output}\n`.replace(/^(?=.)/gm, '    '))
    // A summary of what failed shows the lines that start with `not ok`.
    if (!passed && !/^ *not ok /m.test(output)) process.stdout.write(`    not ok - ${file}: ${problem}\n`)
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
    let isOverdue = false
    let timer = setTimeout(() => {
      isOverdue = true
      child.kill('SIGKILL')
    }, limitMs)
    const printed = []
    for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => printed.push(chunk))
    const finish = (code, signal) => {
      clearTimeout(timer)
      child.stdout.destroy()
      child.stderr.destroy()
      const output = Buffer.concat(printed).toString()
      resolve({
        problem: isOverdue ? `did not end within ${limitMs / 1000} s` : problemOf(code, signal, output),
        output
      })
    }
    // A server left running by a killed test keeps the pipes open.
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      timer = setTimeout(finish, OUTPUT_MS, code, signal)
    })
    child.once('close', finish)
  })
}

/** @returns why the file failed; `undefined` if it passed */
function problemOf(code, signal, output) {
  // An error outside the tests, of a teardown for one, is not a failed assertion.
  const [error] = /^\w*Error\b.*$/m.exec(output) ?? []
  const cause = error === undefined ? '' : `, after "${error}"`
  if (signal !== null) return `ended by ${signal}${cause}`
  if (code === UNSETTLED_AWAIT) return `exit code ${code}: an await at top level was never settled`
  if (code !== 0) return `exit code ${code}${cause}`
  // tap can exit with 0 after an error outside the tests, before the first of them.
  if (!TOTALS.test(output)) return `ended without a result${cause}`
  return /^not ok/m.test(output) ? 'a test failed' : undefined
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
