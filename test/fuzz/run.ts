import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { say, summary, tapLines } from '../faults/report.ts'
import type { Check } from '../faults/scenario.ts'
import { fuzzSockets } from './sockets/fuzz-sockets.ts'
import { startTarget } from './start-target.ts'
import { isTargetName, type TargetName, targetNames } from './target.ts'

const USAGE = `usage: npm run fuzz -- [options]

Feeds hostile input to the signature rule, the parse path, the sanitizer and the running server.

  --minutes <number>  how long in all; else one
  --seed <number>     the same choices again; a random one unless given
  --only <names>      these parts alone, separated by commas: ${targetNames.join(', ')}, sockets
  --keep              adds what was found to reach something new to the corpus, made as small as can be
  --minimize          only makes the corpus small`

/** Parts of the whole: what has more branches gets more time. */
const shares: Readonly<Record<TargetName | 'sockets', number>> = {
  signature: 1,
  event: 4,
  planted: 4,
  masks: 4,
  scale: 3,
  sockets: 4
}

const CORPUS = resolve('test/fuzz/corpus')
/** What was found on this machine and is not in the repository. */
const FOUND = resolve('build/fuzz/corpus')
const ARTIFACTS = resolve('build/fuzz/findings')
/** The collector's freedom; what is kept by mistake grows with every execution. */
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
  say(`the same choices again: npm run fuzz -- --seed ${seed} --minutes ${values.minutes}`)
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
  const corpora = [join(FOUND, name), join(CORPUS, name)]
  const result = await startTarget(name, { seed, seconds, corpora, artifacts: ARTIFACTS })
  const { report } = result
  if (report === undefined)
    return { name: 'an execution ended the process or did not end', passed: false, detail: result }
  const { executions, replayed, reached, total, features, corpus, heapGrowthMb, finding } = report
  const passed = finding === undefined && executions > replayed && heapGrowthMb < MAX_HEAP_GROWTH_MB
  return {
    name: `${executions} executions in ${Math.round(report.seconds)} s, ${replayed} of them replayed; ${reached} of ${total} counters reached, ${features} features, ${corpus} inputs kept, heap ${heapGrowthMb} MB more`,
    passed,
    detail: report
  }
}

/** The fewest inputs that reach what all known ones reach become the corpus. */
async function minimize(): Promise<void> {
  for (const name of chosen.filter(isTargetName)) {
    const folder = join(CORPUS, name)
    const small = join(FOUND, `${name}-small`)
    rmSync(small, { recursive: true, force: true })
    mkdirSync(small, { recursive: true })
    const corpora = [join(FOUND, name), folder]
    const { exit, output } = await startTarget(name, {
      seed,
      seconds: 0,
      corpora,
      artifacts: ARTIFACTS,
      minimizeInto: small
    })
    if (exit !== 0) throw new Error(`${name} could not be made small:\n${output}`)
    rmSync(folder, { recursive: true, force: true })
    renameSync(small, folder)
    say(`${name}: ${readdirSync(folder).length} inputs`)
  }
}
