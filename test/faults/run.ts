import { writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { type Breach, breaches, breakLaw, caught } from './mutations.ts'
import { seededRandom } from './random.ts'
import { COMPILED_MAIN } from './replica.ts'
import { type Report, reportOf, say, summary, table, tapLines } from './report.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios/all.ts'

const USAGE = `usage: npm run test:faults -- [options]

Breaks things while events are delivered, and holds the log against what the senders were promised.

  --full            the figures of docs/guarantees.md: hundreds of kills (about an hour); else about seven minutes
  --seed <number>   the same faults again; a random one unless given
  --only <names>    these scenarios alone, separated by commas
  --json <file>     where the results go; else build/faults.json
  --prove-oracle    breaks one law after the other in a copy of the service, and shows that it is caught
  --list            what there is`

const { values } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    seed: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'string', default: 'build/faults.json' },
    'prove-oracle': { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

// Then what was started and mounted is ended and let go.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

if (values.help) console.log(USAGE)
else if (values.list) for (const { name, about } of scenarios) console.log(`${name.padEnd(24)} ${about}`)
else await run()

async function run(): Promise<void> {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
  const prove = values['prove-oracle']
  const names = values.only?.split(',')
  const chosen = (prove ? breaches : scenarios).filter(({ name }) => names?.includes(name) ?? true)
  if (!Number.isSafeInteger(seed) || chosen.length === 0) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  say(`seed ${seed}`)
  const mode = `${values.full ? ' --full' : ''}${prove ? ' --prove-oracle' : ''}`
  const again = `npm run test:faults -- --seed ${seed}${mode}`
  const reports: Report[] = []
  for (const one of chosen) {
    say(`${one.name}: ${one.about}`)
    const report = 'run' in one ? await runScenario(one, seed, COMPILED_MAIN) : await runBreach(one, seed)
    reports.push(report)
    for (const line of tapLines(report)) console.log(line)
    // Whatever ends this run, what was measured so far is kept.
    write(values.json, { seed, full: values.full, again, reports })
  }
  for (const line of table(reports)) say(line)
  say(`the same faults again: ${again}${values.only === undefined ? '' : ` --only ${values.only}`}`)
  const { failed, line } = summary(reports)
  console.log(line)
  // Whatever a scenario that broke has left behind does not keep this process.
  process.exit(failed === 0 ? 0 : 1)
}

function write(file: string, results: Readonly<Record<string, unknown>>): void {
  const [cpu] = cpus()
  const machine = { node: process.version, processors: cpus().length, model: cpu?.model, load: loadavg()[0] }
  const date = new Date().toISOString()
  writeFileSync(file, `${JSON.stringify({ date, machine, ...results }, undefined, 2)}\n`)
}

function runScenario(scenario: Scenario, seed: number, main: string): Promise<Report> {
  return reportOf(scenario, { random: seededRandom(seed, scenario.name), full: values.full, main })
}

async function runBreach(breach: Breach, seed: number): Promise<Report> {
  const scenario = scenarios.find(({ name }) => name === breach.scenario)
  if (scenario === undefined) throw new Error(`no such scenario: ${breach.scenario}`)
  const { main, remove } = breakLaw(breach)
  try {
    return caught(breach, await runScenario(scenario, seed, main))
  } finally {
    remove()
  }
}
