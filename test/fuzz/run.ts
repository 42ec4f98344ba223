import { parseArgs } from 'node:util'
import { say, summary, tapLines } from '../faults/report.ts'
import type { Check } from '../faults/scenario.ts'
import { readCorpus } from './corpus.ts'
import { fuzzSockets } from './sockets/fuzz-sockets.ts'
import { startTarget } from './start-target.ts'
import { corpusFile, isTargetName, type TargetName, targetNames } from './target.ts'

const USAGE = `usage: npm run fuzz -- [options]

Feeds hostile input to the signature check, the parser, the sanitizer and the running server.

  --minutes <number>  total time (default: 1)
  --seed <number>     repeats the random choices of a run (default: random)
  --only <names>      runs only these parts, separated by commas: ${targetNames.join(', ')}, sockets
  --keep              adds inputs with new coverage to the corpus in the repository, then minimizes it
  --minimize          only minimizes the corpus`

/** Shares of the total time: code with more branches gets more. */
const shares: Readonly<Record<TargetName | 'sockets', number>> = {
  signature: 1,
  event: 4,
  planted: 4,
  masks: 4,
  scale: 3,
  sockets: 4
}

/** Garbage collection makes the heap size vary; a leak grows with every execution and soon exceeds this. */
const MAX_HEAP_GROWTH_MB = 60

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
    minimize: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false }
  }
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

const all = Object.keys(shares) as (keyof typeof shares)[]
const chosen = all.filter(name => values.only?.split(',').includes(name) ?? true)
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
const seconds = Number(values.minutes) * 60
if (values.help) console.log(USAGE)
else if (chosen.length === 0 || !Number.isSafeInteger(seed) || !(seconds > 0)) {
  console.error(USAGE)
  process.exitCode = 2
} else if (values.minimize) await minimize()
else await run()

async function run(): Promise<void> {
  say(`to repeat this run: npm run fuzz -- --seed ${seed} --minutes ${values.minutes}`)
  const whole = chosen.reduce((sum, name) => sum + shares[name], 0)
  const reports = []
  for (const name of chosen) {
    const share = (seconds * shares[name]) / whole
    const checks = name === 'sockets' ? await fuzzSockets(seed, share) : [await fuzzTarget(name, share)]
    const report = { name, checks, measured: {} }
    reports.push(report)
    for (const line of tapLines(report)) console.log(line)
  }
  if (values.keep) await minimize()
  const { failed, line } = summary(reports)
  console.log(line)
  process.exit(failed === 0 ? 0 : 1)
}

async function fuzzTarget(name: TargetName, seconds: number): Promise<Check> {
  const result = await startTarget(name, { seed, seconds, minimize: false })
  const { report } = result
  if (report === undefined)
    return { name: 'an execution crashed the process or did not end', passed: false, detail: result }
  const { executions, replayed, reached, total, features, corpus, heapGrowthMb, finding } = report
  const passed = finding === undefined && executions > replayed && heapGrowthMb < MAX_HEAP_GROWTH_MB
  return {
    name: `${executions} executions in ${Math.round(report.seconds)} s, ${replayed} of them from the corpus; ${reached} of ${total} counters reached, ${features} features, ${corpus} inputs kept, heap grew by ${heapGrowthMb} MB`,
    passed,
    detail: report
  }
}

async function minimize(): Promise<void> {
  for (const name of chosen.filter(isTargetName)) {
    const { exit, output } = await startTarget(name, { seed, seconds: 0, minimize: true })
    if (exit !== 0) throw new Error(`cannot minimize the corpus of ${name}:\n${output}`)
    say(`${name}: ${readCorpus(corpusFile(name)).length} inputs`)
  }
}
