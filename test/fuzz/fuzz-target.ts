// Fuzzes one target in a process of its own: node --expose-gc fuzz-target.js <name> '<JSON of TargetRun>'.
// The last line of its output is the JSON of a TargetReport. Exit code 1 if an input failed.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { register } from 'node:module'
import { join } from 'node:path'
import { seededRandom } from '../helpers/random.ts'
import { readCorpus, writeCorpus } from './corpus.ts'
import { readCoverage } from './loop/coverage.ts'
import { explore, minimize } from './loop/explore.ts'
import { watchHangs } from './loop/watch-hangs.ts'
import { isTargetName, loadTarget } from './target.ts'

export interface TargetRun {
  readonly seed: number
  readonly seconds: number
  /** Inputs found on this machine. The run adds to this file. */
  readonly found: string
  /** Inputs kept in the repository. */
  readonly corpus: string
  /** Do not fuzz, only minimize: the fewest inputs that reach what all reach become `corpus`. */
  readonly minimize: boolean
  readonly dictionary: string
  /** Folder for inputs that failed. */
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
if (!isTargetName(name)) throw new Error(`unknown target: ${name}`)
const run = JSON.parse(options) as TargetRun

register('./loop/instrument-hooks.js', import.meta.url)
const target = await loadTarget(name)
const coverage = readCoverage()
const found = readCorpus(run.found)
const corpus = [...found, ...readCorpus(run.corpus)]

if (run.minimize) writeCorpus(run.corpus, minimize(target, coverage, corpus))
else fuzz()

function fuzz(): void {
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
  writeCorpus(run.found, [...found, ...kept])
  const report: TargetReport = {
    ...figures,
    ...coverage.figures(),
    corpus: kept.length,
    heapGrowthMb: Math.round((usedMb() - usedBefore - keptMb) * 10) / 10,
    finding: finding && { file: writeArtifact(finding.input), error: finding.error }
  }
  console.log(JSON.stringify(report))
  process.exitCode = finding === undefined ? 0 : 1
}

function writeArtifact(input: Buffer): string {
  mkdirSync(run.artifacts, { recursive: true })
  const digest = createHash('sha256').update(input).digest('hex').slice(0, 16)
  const file = join(run.artifacts, `${name}-${digest}`)
  writeFileSync(file, input)
  return file
}

/** One JSON string per line; other lines are comments. */
function readDictionary(file: string): Buffer[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line.startsWith('"'))
    .map(line => Buffer.from(JSON.parse(line) as string))
}

/** Heap in use after a garbage collection. */
function usedMb(): number {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed / 2 ** 20
}
