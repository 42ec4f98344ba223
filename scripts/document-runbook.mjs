// Causes the faults of docs/runbook.md and writes how fast each is shown into its last table. Takes some minutes.
// Usage: document-runbook.mjs
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { faults } from '../build/test/runbook/faults/all.js'

const PAGE = 'docs/runbook.md'
const START = '<!-- faults: written by npm run docs:runbook -->'
const END = '<!-- /faults -->'

const folder = mkdtempSync(join(tmpdir(), 'cio-'))
const file = join(folder, 'measured')
const tests = readdirSync('build/test/runbook').filter(name => name.endsWith('.slow.test.js'))
const paths = tests.map(name => join('build/test/runbook', name))
const { status } = spawnSync(process.execPath, ['scripts/test.mjs', '--jobs=3', '--timeout=600', ...paths], {
  stdio: 'inherit',
  env: { ...process.env, RUNBOOK_MEASURED: file }
})
if (status !== 0) throw new Error('a fault was not shown, or did not end: see above')

const measured = new Map(
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
    .map(row => [row.fault, row])
)
rmSync(folder, { recursive: true })

const reasons = []
const rows = faults.map(fault => {
  const seconds = measured.get(fault.name)
  const cells = ['log', 'metric', 'status'].map(channel => {
    if ('notShown' in fault[channel]) {
      reasons.push(fault[channel].notShown)
      return `– (${reasons.length})`
    }
    const late = channel === 'log' ? undefined : fault.normalForSeconds
    const shown = round(seconds[channel])
    return late === undefined ? shown : `${duration(late)} + ${shown}`
  })
  const link = `[${fault.section}](#${fault.section.toLowerCase()})`
  return `| ${fault.name} | ${link} | ${cells.join(' | ')} | ${round(seconds.over)} |`
})
const date = new Date().toISOString().slice(0, 10)
const table = [
  `Measured on ${date} with Node ${process.versions.node} on a machine with two cores, three faults at a time.`,
  '',
  '| fault | section | log | metrics | `status` | over after the repair |',
  '|---|---|---|---|---|---|',
  ...rows,
  '',
  'Not shown, by design:',
  '',
  ...reasons.map((reason, index) => `${index + 1}. ${reason}`)
].join('\n')

const page = readFileSync(PAGE, 'utf8')
const [before, rest = ''] = page.split(START)
const [, after] = rest.split(END)
if (after === undefined) throw new Error(`${PAGE} has no markers for the table of faults`)
writeFileSync(PAGE, `${before}${START}\n\n${table}\n\n${END}${after}`)

function duration(seconds) {
  return seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`
}

function round(seconds) {
  return seconds.toFixed(1)
}
