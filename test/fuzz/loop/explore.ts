import type { Random } from '../../faults/random.ts'
import type { Target } from '../target.ts'
import type { Coverage } from './coverage.ts'
import { mutate } from './mutate.ts'

/** An input that broke a promise, as short as it could be made. */
export interface Finding {
  readonly input: Buffer
  readonly error: string
}

export interface Exploration {
  readonly executions: number
  /** Inputs of the corpus that were run first. */
  readonly replayed: number
  readonly seconds: number
  readonly corpus: readonly Buffer[]
  readonly finding: Finding | undefined
}

export interface ExploreOptions {
  readonly target: Target
  readonly coverage: Coverage
  readonly corpus: readonly Buffer[]
  readonly dictionary: readonly Buffer[]
  readonly random: Random
  readonly seconds: number
  /** Told before each execution, so that somebody can see when one never ends. */
  readonly begin: (input: Buffer) => void
}

const LEAST_SHARE = 0.25
const SHRINK_SECONDS = 20
/** New inputs come from young ones rather than old. */
const YOUNG_SHARE = 0.4
const YOUNG = 20

/**
 * Runs the corpus, then makes new inputs out of old ones for so long. What reaches something new is kept and
 * made more of. Ends at the first broken promise.
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
      // A copy: what one execution does to its input must not change the next.
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
  // The corpus may take all the time there is: some new inputs are tried all the same.
  const endMs = Math.max(startedMs + seconds * 1000, performance.now() + seconds * 1000 * LEAST_SHARE)
  while (performance.now() < endMs) {
    const young = random.chance(YOUNG_SHARE) ? kept.slice(-YOUNG) : kept
    const input = mutate(random.pick(young), kept, dictionary, target.shape, random)
    const error = attempt(input)
    if (error !== undefined) return done(first.length, shrink(input, error, attempt))
    if (coverage.newFeatures() > 0) kept.push(input)
  }
  return done(first.length)
}

/** Leaves out pieces, large ones first, for as long as it fails at the same place. */
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

/** What an input must add to be worth a place in the repository. */
const WORTH_FEATURES = 4

/**
 * As few inputs as reach nearly what all of them reach, the shortest first. What the target's seeds reach
 * needs none.
 *
 * @param coverage of a process in which nothing else ran
 */
export function minimize(target: Target, coverage: Coverage, corpus: readonly Buffer[]): readonly Buffer[] {
  const adds = (input: Buffer): number => {
    coverage.reset()
    target.fuzz(Buffer.from(input))
    return coverage.newFeatures()
  }
  for (const seed of target.seeds) adds(seed)
  return [...corpus].sort((a, b) => a.length - b.length).filter(input => adds(input) >= WORTH_FEATURES)
}
