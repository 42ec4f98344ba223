// npm run bench:worst: searches, by hill climbing, for the inputs that take the longest to sanitize.
// -- --check tries the known ones, searches briefly, and fails if the time grows faster than the input.
import { parseArgs } from 'node:util'
import { type Random, seededRandom } from '../test/helpers/random.ts'
import { machineLine } from './machine.ts'
import { type Growth, leastMs, MAX_GROWTH_OF_DOUBLE, measureGrowth } from './worst/growth.ts'
import { bodyOf, type Input, pieces, seeds, shapeNames } from './worst/inputs.ts'
import { type Target, takes, targets } from './worst/targets.ts'

const KIB = 1024
const MIB = 1024 * KIB
/** Large enough to show growth, small enough to try many inputs. */
const SEARCH_BYTES = 32 * KIB
const MAX_PIECES = 6

type Plan = { readonly searchMs: number; readonly candidates: number; readonly bytes: number }
const full: Plan = { searchMs: 20_000, candidates: 3, bytes: MIB }
const check: Plan = { searchMs: 500, candidates: 2, bytes: MIB / 2 }

type Row = { readonly target: Target; readonly input: Input; readonly growth: Growth }

const { values } = parseArgs({
  options: { check: { type: 'boolean', default: false }, seed: { type: 'string' }, only: { type: 'string' } }
})
const plan = values.check ? check : full
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e9) : Number(values.seed)
print(machineLine())
print(`to repeat this run: npm run bench:worst -- --seed ${seed}`)

const rows = targets
  .filter(({ name }) => values.only === undefined || name.includes(values.only))
  .flatMap(target => {
    const found = search(target, seededRandom(seed, target.name))
    const measured = found.map(input => ({ target, input, growth: growthOf(target, input) }))
    return [
      worstOf(measured, ({ growth }) => growth.largeMs),
      worstOf(measured, ({ growth }) => growth.ofDouble)
    ]
  })
  .filter((row, at, all) => row !== all[at - 1])
printTable(rows)
const failed = rows.filter(({ growth }) => !growth.isLinear)
for (const { target, input } of failed) {
  print(`not linear: ${target.name}, ${input.shape} of ${JSON.stringify(input.unit)}`)
}
print(
  `${rows.length - failed.length} of ${rows.length} take at most ${MAX_GROWTH_OF_DOUBLE} times as long when the input doubles`
)
process.exitCode = failed.length === 0 ? 0 : 1

/** The slowest inputs found: changes the seeds, keeps the slowest results, and changes those again. */
function search(target: Target, random: Random): readonly Input[] {
  const cost = new Map<string, { input: Input; ms: number }>()
  const tried = (input: Input): number => {
    const ms = costOf(target, input)
    if (ms !== undefined) cost.set(`${input.shape} ${input.unit}`, { input, ms })
    return ms ?? 0
  }
  const slowest = () => [...cost.values()].sort((a, b) => b.ms - a.ms)
  for (const input of seeds) if (takes(target, input.shape)) tried(input)
  for (const shape of shapeNames) if (takes(target, shape)) tried({ shape, unit: random.pick(pieces) })
  const end = Date.now() + plan.searchMs
  while (Date.now() < end) {
    const from = random.pick(slowest().slice(0, 8)).input
    tried(changed(target, from, random))
  }
  return slowest()
    .slice(0, plan.candidates)
    .map(({ input }) => input)
}

function changed(target: Target, { shape, unit }: Input, random: Random): Input {
  if (random.chance(0.1)) return { shape: random.pick(shapeNames.filter(name => takes(target, name))), unit }
  const piece = random.pick(pieces)
  const at = random.whole(0, unit.length + 1)
  const cut = random.chance(0.5) ? random.whole(1, 4) : 0
  return { shape, unit: (unit.slice(0, at) + piece + unit.slice(at + cut)).slice(0, MAX_PIECES * 6) }
}

/** Milliseconds; `undefined` if the input is not JSON. */
function costOf(target: Target, input: Input): number | undefined {
  const act = prepared(target, input, SEARCH_BYTES)
  return act && leastMs(act, 2)
}

function prepared(target: Target, input: Input, bytes: number): (() => unknown) | undefined {
  try {
    return target.prepare(bodyOf(input, bytes))
  } catch {
    return undefined
  }
}

function growthOf(target: Target, input: Input): Growth {
  const nothing = () => undefined
  return measureGrowth(
    prepared(target, input, plan.bytes / 4) ?? nothing,
    prepared(target, input, plan.bytes) ?? nothing
  )
}

function worstOf(all: readonly Row[], by: (row: Row) => number): Row {
  const [worst] = [...all].sort((a, b) => by(b) - by(a))
  if (worst === undefined) throw new Error('no input is JSON')
  return worst
}

function printTable(all: readonly Row[]): void {
  print('\n  ms per MiB   growth   target                          input')
  for (const { target, input, growth } of all) {
    const perMib = (growth.largeMs / plan.bytes) * MIB
    const cells = [
      perMib.toFixed(0).padStart(12),
      growth.ofDouble.toFixed(2).padStart(8),
      target.name.padEnd(30)
    ]
    print(`${cells.join('   ')}  ${input.shape} of ${JSON.stringify(input.unit)}`)
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
