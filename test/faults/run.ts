import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { seededRandom } from './random.ts'
import { COMPILED_MAIN } from './replica.ts'
import { type Report, reportOf, say, summary, table, tapLines } from './report.ts'
import { scenarios } from './scenarios/all.ts'

const USAGE = `usage: npm run test:faults -- [options]

Breaks things while events are delivered, and holds the log against what the senders were promised.

  --full            the figures of docs/guarantees.md: hundreds of kills (about an hour); else about five minutes
  --seed <number>   the same faults again; a random one unless given
  --only <names>    these scenarios alone, separated by commas
  --json <file>     where the results go; else build/faults.json
  --list            what there is`

const { values } = parseArgs({
  options: {
    full: { type: 'boolean', default: false },
    seed: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'string', default: 'build/faults.json' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

if (values.help) console.log(USAGE)
else if (values.list) for (const { name, about } of scenarios) console.log(`${name.padEnd(24)} ${about}`)
else await run()

async function run(): Promise<void> {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
  const names = values.only?.split(',')
  const chosen = scenarios.filter(({ name }) => names?.includes(name) ?? true)
  if (!Number.isSafeInteger(seed) || chosen.length === 0) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  say(`seed ${seed}`)
  const reports: Report[] = []
  for (const scenario of chosen) {
    say(`${scenario.name}: ${scenario.about}`)
    const random = seededRandom(seed, scenario.name)
    const report = await reportOf(scenario, { random, full: values.full, main: COMPILED_MAIN })
    reports.push(report)
    for (const line of tapLines(report)) console.log(line)
  }
  const tableLines = table(reports)
  for (const line of tableLines) say(line)
  const again = `npm run test:faults -- --seed ${seed}${values.full ? ' --full' : ''}`
  writeFileSync(
    values.json,
    `${JSON.stringify({ seed, full: values.full, node: process.version, date: new Date().toISOString(), again, reports }, undefined, 2)}\n`
  )
  say(`the same faults again: ${again}${values.only === undefined ? '' : ` --only ${values.only}`}`)
  const { failed, line } = summary(reports)
  console.log(line)
  process.exitCode = failed === 0 ? 0 : 1
}
