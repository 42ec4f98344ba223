// npm run bench:dispatch: how fast events reach consumers of each kind, and what an outage of one does to the others.
import { parseArgs } from 'node:util'
import { machineLine } from '../machine.ts'
import { printTargets } from '../table.ts'
import type { TargetOutcome } from '../targets.ts'
import { type Servers, startServers } from './kinds.ts'
import { measureLatency } from './latency.ts'
import { measureMany } from './many.ts'
import { measureOutage } from './outage.ts'
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

const parts: Readonly<Record<string, (servers: Servers) => Promise<TargetOutcome[]>>> = {
  throughput: servers => measureThroughput(servers, throughput),
  latency: servers => measureLatency(servers, atRate),
  outage: servers => measureOutage(servers, atRate),
  many: servers => measureMany(servers, many),
  /** Not by default: it takes as long as all others. */
  attempts: servers => measureAttempts(servers, throughput)
}
const NEED_BROKERS = ['throughput', 'latency', 'attempts']

const chosen = values.only.split(',').map(name => {
  const measure = parts[name]
  if (measure !== undefined) return { name, measure }
  throw new Error(`--only ${name}: unknown part; the parts are ${Object.keys(parts).join(', ')}`)
})
process.stdout.write(`${machineLine()}; medians of ${rounds} rounds (lowest-highest)\n`)

const servers = await startServers(chosen.some(({ name }) => NEED_BROKERS.includes(name)))
try {
  const outcomes: TargetOutcome[] = []
  for (const { measure } of chosen) outcomes.push(...(await measure(servers)))
  printTargets(outcomes)
} finally {
  await servers.stop()
}
