import type { Random } from '../../helpers/random.ts'
import type { Step } from './converse.ts'
import type { Claim } from './requests.ts'

/** Hostile bytes on one connection. */
export interface Attack {
  readonly name: string
  readonly steps: readonly Step[]
  /** Number of responses to wait for. */
  readonly awaited: number
  /** Is it complete, so that a response must come soon? Otherwise the service may wait for the rest. */
  readonly whole: boolean
  /** Allowed final status codes. */
  readonly allowed: readonly number[]
  /** The authentic deliveries in it. Only these may be in the log afterwards. */
  readonly claims: readonly Claim[]
}

export type Maker = (random: Random) => Attack

/** Invalid or unsupported requests are refused with one of these. */
export const REFUSALS: readonly number[] = [400, 401, 403, 404, 405, 408, 413, 417, 429, 431]
