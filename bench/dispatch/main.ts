// npm run bench:dispatch: how fast events reach consumers of each kind, and what an outage of one does to the others.
import { parseArgs } from 'node:util'
import { describeBrokers, describeMachine, describeVersions, machineLine } from '../machine.ts'
import { writeResults } from '../results.ts'
import { printTargets } from '../table.ts'
import type { TargetOutcome } from '../targets.ts'
import { type Servers, startServers } from './kinds.ts'
import { measureLatency } from './latency.ts'
import { measureMany } from './many.ts'
import { measureOutage } from './outage.ts'
import { drawDispatchPlot } from './plot.ts'
import type { DispatchResults, Measured, PartResult } from './results.ts'
import { measureAttempts, measureThroughput } from './throughput.ts'

const { values } = parseArgs({
  options: {
    /** Parts of the benchmark, separated by commas. */
    only: { type: 'string', default: 'throughput,latency,outage,many' },
    rounds: { type: 'string', default: '3' },
    /** Of `throughput` and `attempts`. */
    events: { type: 'string', default: '50000' },
    /** Of `latency` and `outage`: events per second, and seconds. */
    rate: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '10' },
    /** Of `many`: events while one of the consumers is down, and events per second. */
    'many-events': { type: 'string', default: '6000' },
    'many-rate': { type: 'string', default: '60' }
  }
})
const rounds = Number(values.rounds)
const throughput = { rounds, events: Number(values.events) }
const atRate = { rounds, rate: Number(values.rate), seconds: Number(values.seconds) }
const many = { events: Number(values['many-events']), rate: Number(values['many-rate']) }

type PartName = keyof Measured
type Part<Name extends PartName> = (servers: Servers) => Promise<PartResult<Measured[Name]>>

const parts: { readonly [Name in PartName]: Part<Name> } = {
  throughput: servers => measureThroughput(servers, throughput),
  latency: servers => measureLatency(servers, atRate),
  outage: servers => measureOutage(servers, atRate),
  many: servers => measureMany(servers, many),
  /** Not by default: it takes as long as all others. */
  attempts: servers => measureAttempts(servers, throughput)
}
const NEED_BROKERS: readonly PartName[] = ['throughput', 'latency', 'attempts']

const isPart = (name: string): name is PartName => Object.hasOwn(parts, name)
const chosen = values.only.split(',').map(name => {
  if (isPart(name)) return name
  throw new Error(`--only ${name}: unknown part; the parts are ${Object.keys(parts).join(', ')}`)
})
process.stdout.write(`${machineLine()}; medians of ${rounds} rounds (lowest-highest)\n`)

const date = new Date().toISOString()
const measured: { -readonly [Name in PartName]?: Measured[Name] } = {}
const targets: TargetOutcome[] = []
const servers = await startServers(chosen.some(name => NEED_BROKERS.includes(name)))
try {
  for (const name of chosen) await run(name, servers)
} finally {
  await servers.stop()
}
printTargets(targets)

const results: DispatchResults = {
  date,
  command: `npm run bench:dispatch -- ${process.argv.slice(2).join(' ')}`.replace(/ -- $/, ''),
  machine: describeMachine(),
  versions: { ...describeVersions(), ...describeBrokers() },
  sizes: { rounds, events: throughput.events, rate: atRate.rate, seconds: atRate.seconds, many },
  measured,
  targets
}
process.stdout.write(`\n${writeResults(results, 'dispatch', drawDispatchPlot(results))}\n`)

async function run<Name extends PartName>(name: Name, servers: Servers): Promise<void> {
  const result = await parts[name](servers)
  measured[name] = result.measured
  targets.push(...result.targets)
}
