// npm run bench: this service and what people would use instead, side by side. See README.md in this folder.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Contestant, contestants } from './contestants.ts'
import type { Load } from './load.ts'
import { describeMachine, describeVersions } from './machine.ts'
import { median } from './median.ts'
import { drawPlot } from './plot.ts'
import type { Results } from './results.ts'
import type { Measurement } from './running.ts'
import { printResults } from './table.ts'
import { takeTurn } from './turn.ts'

interface Plan {
  readonly rounds: number
  readonly openRounds: number
  readonly warmUp: Load
  readonly closed: Load
  readonly repeats: Load
  /** Offered rates, besides half of this service's own maximum. */
  readonly rates: readonly number[]
  readonly openSeconds: number
}

/** As many as HTTP senders keep open between them; the fsync target is set for it too. */
const CONNECTIONS = 64
/** A contestant is not offered more than this share of what it can do: its queue would only grow. */
const SUSTAINABLE = 0.9
/** The one whose half maximum everybody is offered. */
const PACEMAKER = 'service'

const full: Plan = {
  rounds: 5,
  openRounds: 3,
  warmUp: { connections: CONNECTIONS, count: 15_000 },
  closed: { connections: CONNECTIONS, seconds: 6 },
  repeats: { connections: CONNECTIONS, seconds: 3, repeats: 0.1 },
  rates: [250, 1000, 2000],
  openSeconds: 6
}

const quick: Plan = {
  rounds: 2,
  openRounds: 1,
  warmUp: { connections: CONNECTIONS, count: 10_000 },
  closed: { connections: CONNECTIONS, seconds: 2 },
  repeats: { connections: CONNECTIONS, seconds: 0.5, repeats: 0.1 },
  rates: [],
  openSeconds: 2
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' }
  }
})
const plan = { ...(values.quick ? quick : full), ...(values.rounds && { rounds: Number(values.rounds) }) }
const chosen = choose(values.only)

const date = new Date().toISOString()
const closed: Record<string, Measurement[]> = {}
const repeats: Record<string, Measurement[]> = {}
const open: Record<string, Record<string, Measurement[]>> = {}

for (let round = 1; round <= plan.rounds; round++) {
  for (const contestant of chosen) {
    note(`round ${round} of ${plan.rounds}, as fast as it goes: ${contestant.title}`)
    const [fast, withRepeats] = await takeTurn(contestant, plan.warmUp, [plan.closed, plan.repeats])
    if (fast !== undefined) keep(closed, contestant.name, fast)
    if (withRepeats !== undefined) keep(repeats, contestant.name, withRepeats)
  }
}

const rates = [...plan.rates, halfOfTheMaximum()]
for (let round = 1; round <= plan.openRounds; round++) {
  for (const contestant of chosen) {
    const bearable = rates.filter(rate => rate <= maximumOf(contestant.name) * SUSTAINABLE)
    note(`round ${round} of ${plan.openRounds}, at ${bearable.join(', ')} a second: ${contestant.title}`)
    const loads = bearable.map(rate => ({ connections: CONNECTIONS, rate, seconds: plan.openSeconds }))
    for (const measured of await takeTurn(contestant, plan.warmUp, loads)) {
      open[contestant.name] ??= {}
      keep(open[contestant.name] ?? {}, String(measured.load.rate), measured)
    }
  }
}
process.stderr.write('\n')

const results: Results = {
  date,
  command: `npm run bench -- ${process.argv.slice(2).join(' ')}`.replace(/ -- $/, ''),
  machine: describeMachine(),
  versions: describeVersions(),
  plan,
  titles: Object.fromEntries(chosen.map(({ name, title }) => [name, title])),
  halfMaximum: rates.at(-1) ?? 0,
  closed,
  repeats,
  open
}
const folder = join('bench', 'results')
const file = join(folder, date.slice(0, 16).replace(/[:T]/g, '-'))
mkdirSync(folder, { recursive: true })
writeFileSync(`${file}.json`, `${JSON.stringify(results, null, 1)}\n`)
writeFileSync(`${file}.svg`, drawPlot(results))
printResults(results)
process.stdout.write(`\n${file}.json and .svg hold all of it.\n`)

function choose(only: string | undefined): readonly Contestant[] {
  if (only === undefined) return contestants
  return only.split(',').map(name => {
    const found = contestants.find(contestant => contestant.name === name)
    if (found !== undefined) return found
    const names = contestants.map(contestant => contestant.name).join(', ')
    throw new Error(`--only ${name}: there is no such contestant, but ${names}`)
  })
}

function keep(into: Record<string, Measurement[]>, name: string, measured: Measurement): void {
  into[name] = [...(into[name] ?? []), measured]
}

function maximumOf(name: string): number {
  return median((closed[name] ?? []).map(({ report }) => report.throughput))
}

function halfOfTheMaximum(): number {
  const pacemaker = closed[PACEMAKER] === undefined ? (chosen[0]?.name ?? '') : PACEMAKER
  return Math.max(10, Math.round(maximumOf(pacemaker) / 20) * 10)
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
