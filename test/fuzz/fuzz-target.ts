// One target in a process of its own: node --expose-gc fuzz-target.js <name> '<JSON of TargetRun>'.
// The last line of its output is the JSON of a TargetReport. Exit code 1 with a finding.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { join } from 'node:path'
import { seededRandom } from '../faults/random.ts'
import { readCoverage } from './loop/coverage.ts'
import { explore, minimize } from './loop/explore.ts'
import { watchHangs } from './loop/watch-hangs.ts'
import { isTargetName, loadTarget } from './target.ts'

export interface TargetRun {
  readonly seed: number
  readonly seconds: number
  /** Where inputs come from; the first is also where new ones go, if anywhere. */
  readonly corpora: readonly string[]
  readonly keep: boolean
  /** Only finds the fewest inputs of the corpora that reach all they reach, and writes them here. */
  readonly minimizeInto: string | undefined
  readonly dictionary: string
  /** Where an input that broke a promise goes. */
  readonly artifacts: string
}

export interface TargetReport {
  readonly executions: number
  readonly replayed: number
  readonly seconds: number
  readonly corpus: number
  readonly reached: number
  readonly total: number
  readonly features: number
  readonly heapGrowthMb: number
  readonly finding: { readonly file: string; readonly error: string } | undefined
}

const [name = '', options = ''] = process.argv.slice(2)
if (!isTargetName(name)) throw new Error(`no such target: ${name}`)
const run = JSON.parse(options) as TargetRun

register('./loop/instrument-hooks.js', import.meta.url)
const target = await loadTarget(name)
const coverage = readCoverage()
const corpus = run.corpora.filter(existsSync).flatMap(folder => readFolder(folder))

if (run.minimizeInto !== undefined) {
  for (const input of minimize(target, coverage, corpus)) write(run.minimizeInto, input)
} else {
  const usedBefore = usedMb()
  const {
    finding,
    corpus: kept,
    ...figures
  } = explore({
    target,
    coverage,
    corpus,
    dictionary: readDictionary(run.dictionary),
    random: seededRandom(run.seed, name),
    seconds: run.seconds,
    begin: watchHangs(target.shape.maxBytes, join(run.artifacts, `${name}-hang`))
  })
  const keptMb = kept.reduce((sum, input) => sum + input.length, 0) / 2 ** 20
  const [into] = run.corpora
  if (run.keep && into !== undefined) for (const input of kept) write(into, input)
  const report: TargetReport = {
    ...figures,
    ...coverage.figures(),
    corpus: kept.length,
    heapGrowthMb: Math.round((usedMb() - usedBefore - keptMb) * 10) / 10,
    finding: finding && { file: write(run.artifacts, finding.input, `${name}-`), error: finding.error }
  }
  console.log(JSON.stringify(report))
  process.exitCode = finding === undefined ? 0 : 1
}

function readFolder(folder: string): Buffer[] {
  return readdirSync(folder)
    .sort()
    .map(file => readFileSync(join(folder, file)))
}

function write(folder: string, input: Buffer, prefix = ''): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, prefix + createHash('sha256').update(input).digest('hex').slice(0, 16))
  writeFileSync(file, input)
  return file
}

/** One JSON string a line, `#` before what is said about them. */
function readDictionary(file: string): Buffer[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line.startsWith('"'))
    .map(line => Buffer.from(JSON.parse(line) as string))
}

/** What is in use once nothing is left to be collected. */
function usedMb(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 2 ** 20
}
