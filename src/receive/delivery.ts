import type { Source } from '../config/sources.ts'
import type { UnavailableReason } from '../errors.ts'
import type { Outcome } from '../ops/metrics.ts'
import type { ParkedReason } from './payload.ts'
import type { SignatureFailure } from './signature.ts'

/** All that is told of one delivery, in one log line and the metrics. Never a body, a header's value or a secret. */
export interface Delivery {
  readonly source: Source
  /** The sender's address, as far as the trusted proxies vouch for it. */
  readonly address: string
  readonly startedMs: number
  /** Is the address on no list? Then the delivery can't be accepted, unless the policy only reports. */
  readonly forbidden: boolean
  outcome?: Outcome
  /** Why it was refused. */
  reason?: SignatureFailure | UnavailableReason
  /** Why it was parked. */
  parked?: ParkedReason
  key?: 'current' | 'previous'
  id?: string
  type?: string
  bytes?: number
  ageSeconds?: number
  logMs?: number
  cause?: unknown
}
