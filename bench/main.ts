// npm run bench: compares this service with alternatives. See README.md in this folder.
import { parseArgs } from 'node:util'
import { type Contestant, contestants } from './contestants.ts'
import type { Load } from './load.ts'
import { describeMachine, describeVersions } from './machine.ts'
import { median } from './median.ts'
import { drawPlot } from './plot.ts'
import { type Results, writeResults } from './results.ts'
import type { Measurement } from './running.ts'
import { printResults } from './table.ts'
import { takeTurn } from './turn.ts'

interface Plan {
  readonly rounds: number
  readonly openRounds: number
  readonly warmUp: Load
  readonly closed: Load
  readonly repeats: Load
  /** Offered rates in deliveries per second, besides half of this service's maximum. */
  readonly rates: readonly number[]
  readonly openSeconds: number
}

/** A typical number of open connections of HTTP senders; the fsync target assumes it too. */
const CONNECTIONS = 64
/** Highest offered rate, as a share of a contestant's maximum: beyond it, its queue would only grow. */
const SUSTAINABLE = 0.9
/** Half of this contestant's maximum is one of the offered rates for all. */
const REFERENCE = 'service'

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
    note(`round ${round} of ${plan.rounds}, maximum throughput: ${contestant.title}`)
    const [fast, withRepeats] = await takeTurn(contestant, plan.warmUp, [plan.closed, plan.repeats])
    if (fast !== undefined) keep(closed, contestant.name, fast)
    if (withRepeats !== undefined) keep(repeats, contestant.name, withRepeats)
  }
}

const rates = [...plan.rates, halfOfTheMaximum()]
for (let round = 1; round <= plan.openRounds; round++) {
  for (const contestant of chosen) {
    const sustainable = rates.filter(rate => rate <= maximumOf(contestant.name) * SUSTAINABLE)
    note(`round ${round} of ${plan.openRounds}, at ${sustainable.join(', ')} per second: ${contestant.title}`)
    const loads = sustainable.map(rate => ({ connections: CONNECTIONS, rate, seconds: plan.openSeconds }))
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
printResults(results)
process.stdout.write(`\n${writeResults(results, undefined, drawPlot(results))}\n`)

function choose(only: string | undefined): readonly Contestant[] {
  if (only === undefined) return contestants
  return only.split(',').map(name => {
    const found = contestants.find(contestant => contestant.name === name)
    if (found !== undefined) return found
    const names = contestants.map(contestant => contestant.name).join(', ')
    throw new Error(`--only ${name}: unknown contestant; the contestants are ${names}`)
  })
}

function keep(into: Record<string, Measurement[]>, name: string, measured: Measurement): void {
  into[name] = [...(into[name] ?? []), measured]
}

function maximumOf(name: string): number {
  return median((closed[name] ?? []).map(({ report }) => report.throughput))
}

function halfOfTheMaximum(): number {
  const reference = closed[REFERENCE] === undefined ? (chosen[0]?.name ?? '') : REFERENCE
  return Math.max(10, Math.round(maximumOf(reference) / 20) * 10)
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
