import { writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { seededRandom } from '../helpers/random.ts'
import { mutate } from './mutate.ts'
import { type Mutation, mutations } from './mutations.ts'
import { COMPILED_MAIN } from './replica.ts'
import { type Report, reportOf, say, summary, table, tapLines } from './report.ts'
import type { Scenario } from './scenario.ts'
import { scenarios } from './scenarios/all.ts'

const USAGE = `usage: npm run test:faults -- [options]

Injects faults while events are delivered, then checks the log against the responses that the senders got.

  --full            hundreds of faults, for the figures in docs/guarantees.md (an hour; default: seven minutes)
  --seed <number>   repeats the faults of a run (default: random)
  --only <names>    runs only these scenarios, separated by commas
  --json <file>     file for the results (default: build/faults.json)
  --prove-oracle    mutation test: runs mutated copies of the service, and fails if a broken law is not caught
  --list            lists the scenarios`

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

// Exit handlers then kill started processes and unmount disks.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

if (values.help) console.log(USAGE)
else if (values.list) for (const { name, about } of scenarios) console.log(`${name.padEnd(24)} ${about}`)
else await run()

async function run(): Promise<void> {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
  const prove = values['prove-oracle']
  const names = values.only?.split(',')
  const chosen = (prove ? mutations : scenarios).filter(({ name }) => names?.includes(name) ?? true)
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
    const report = 'run' in one ? await runScenario(one, seed, COMPILED_MAIN) : await runMutation(one, seed)
    reports.push(report)
    for (const line of tapLines(report)) console.log(line)
    // After each scenario, so that the results survive an abort.
    write(values.json, { seed, full: values.full, again, reports })
  }
  for (const line of table(reports)) say(line)
  say(`to repeat this run: ${again}${values.only === undefined ? '' : ` --only ${values.only}`}`)
  const { failed, line } = summary(reports)
  console.log(line)
  // A failed scenario may leave open handles.
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

async function runMutation(mutation: Mutation, seed: number): Promise<Report> {
  const scenario = scenarios.find(({ name }) => name === mutation.scenario)
  if (scenario === undefined) throw new Error(`unknown scenario: ${mutation.scenario}`)
  const { main, remove } = mutate(mutation)
  try {
    return mutationReport(mutation, await runScenario(scenario, seed, main))
  } finally {
    remove()
  }
}

/** Passes if a check that must catch the mutation has failed. */
function mutationReport({ name, about, scenario, caughtBy }: Mutation, report: Report): Report {
  const failed = report.checks.filter(({ passed }) => !passed)
  const caught = failed.find(({ name }) => caughtBy.includes(name))
  return {
    ...report,
    name,
    about,
    measured: caught === undefined ? {} : { caught: JSON.stringify(caught.detail) },
    checks: [
      {
        name: `${scenario} fails the check: ${caughtBy.join('; or: ')}`,
        passed: caught !== undefined,
        detail: { scenario, failed }
      }
    ]
  }
}
