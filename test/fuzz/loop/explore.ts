import type { Random } from '../../helpers/random.ts'
import type { Target } from '../target.ts'
import type { Coverage } from './coverage.ts'
import { mutate } from './mutate.ts'

/** An input that fails, shortened. */
interface Finding {
  readonly input: Buffer
  readonly error: string
}

interface Exploration {
  readonly executions: number
  /** Inputs of the corpus and seeds, which are run first. */
  readonly replayed: number
  readonly seconds: number
  readonly corpus: readonly Buffer[]
  readonly finding: Finding | undefined
}

interface ExploreOptions {
  readonly target: Target
  readonly coverage: Coverage
  readonly corpus: readonly Buffer[]
  readonly dictionary: readonly Buffer[]
  readonly random: Random
  readonly seconds: number
  /** Called before each execution, to detect one that does not end. */
  readonly begin: (input: Buffer) => void
}

const LEAST_SHARE = 0.25
const SHRINK_SECONDS = 20
/** This share of new inputs is made from the latest inputs. */
const LATEST_SHARE = 0.4
const LATEST = 20

/**
 * Runs the corpus, then mutates inputs for some seconds. An input with new coverage is kept and mutated further. Ends
 * at the first failure.
 */
export function explore(options: ExploreOptions): Exploration {
  const { target, coverage, dictionary, random, seconds, begin } = options
  const startedMs = performance.now()
  const kept: Buffer[] = []
  let executions = 0

  const attempt = (input: Buffer): string | undefined => {
    begin(input)
    coverage.reset()
    executions++
    try {
      // A copy, since the code could modify its input.
      target.fuzz(Buffer.from(input))
      return undefined
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
  }
  const done = (replayed: number, finding?: Finding): Exploration => ({
    executions,
    replayed,
    seconds: (performance.now() - startedMs) / 1000,
    corpus: kept,
    finding
  })

  const first = [...options.corpus, ...target.seeds]
  for (const input of first) {
    const error = attempt(input)
    if (error !== undefined) return done(first.length, { input, error })
    if (coverage.newFeatures() > 0) kept.push(input)
  }
  // Even if the corpus takes the whole time, some new inputs are tried.
  const endMs = Math.max(startedMs + seconds * 1000, performance.now() + seconds * 1000 * LEAST_SHARE)
  while (performance.now() < endMs) {
    const parents = random.chance(LATEST_SHARE) ? kept.slice(-LATEST) : kept
    const input = mutate(random.pick(parents), kept, dictionary, target.shape, random)
    const error = attempt(input)
    if (error !== undefined) return done(first.length, shrink(input, error, attempt))
    if (coverage.newFeatures() > 0) kept.push(input)
  }
  return done(first.length)
}

/** Removes pieces, large ones first, while the input fails at the same place. */
function shrink(input: Buffer, error: string, attempt: (input: Buffer) => string | undefined): Finding {
  const endMs = performance.now() + SHRINK_SECONDS * 1000
  const place = placeOf(error)
  let best: Finding = { input, error }
  for (let piece = input.length >> 1; piece > 0; piece >>= 1) {
    for (let at = 0; at < best.input.length && performance.now() < endMs; ) {
      const shorter = Buffer.concat([best.input.subarray(0, at), best.input.subarray(at + piece)])
      const failed = attempt(shorter)
      if (failed !== undefined && placeOf(failed) === place) best = { input: shorter, error: failed }
      else at += piece
    }
  }
  return best
}

/** The first line of the stack: a message may repeat the input. */
const placeOf = (error: string): string => /^\s+at .*$/m.exec(error)?.[0] ?? error.slice(0, 40)

/** New features that an input needs for a place in the repository. */
const MIN_FEATURES = 4

/**
 * Few inputs that have nearly the coverage of all, beyond that of the target's seeds. The shortest are preferred.
 *
 * @param coverage in a process that has run nothing else
 */
export function minimize(target: Target, coverage: Coverage, corpus: readonly Buffer[]): readonly Buffer[] {
  const adds = (input: Buffer): number => {
    coverage.reset()
    target.fuzz(Buffer.from(input))
    return coverage.newFeatures()
  }
  for (const seed of target.seeds) adds(seed)
  return [...corpus].sort((a, b) => a.length - b.length).filter(input => adds(input) >= MIN_FEATURES)
}
