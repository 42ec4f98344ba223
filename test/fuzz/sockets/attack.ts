import type { Random } from '../../faults/random.ts'
import type { Step } from './converse.ts'
import type { Claim } from './requests.ts'

/** Something hostile, said on one connection. */
export interface Attack {
  readonly name: string
  readonly steps: readonly Step[]
  /** Answers to wait for. */
  readonly awaited: number
  /** Is all of it there, so that an answer must come soon? Otherwise the service may wait for the rest. */
  readonly whole: boolean
  /** Every final status that may be among the answers. */
  readonly allowed: readonly number[]
  /** The authentic deliveries in it: they, and nothing else, may be in the log afterwards. */
  readonly claims: readonly Claim[]
}

export type Maker = (random: Random) => Attack

/** Whatever is no request, or none we serve, is refused with one of these. */
export const REFUSALS: readonly number[] = [400, 401, 403, 404, 405, 408, 413, 417, 429, 431]
