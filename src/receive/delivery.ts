import type { UnavailableReason } from '../errors.ts'
import type { ParkedReason } from '../log/log-entry.ts'
import type { Outcome, SignatureFailure } from '../ops/outcomes.ts'

import type { Source } from '../settings/sources.ts'
import type { AdmittedBody, UnreadReason } from './body.ts'

/** All that is told of one delivery, in one log line and the metrics. Never a body, a header's value or a secret. */
export interface Delivery {
  readonly source: Source
  /** The sender's address, as far as the trusted proxies vouch for it; `unknown` for text that is none. */
  readonly address: string
  /** Is the address on a list that Customer.io or the operator wrote? Otherwise its failures are limited. */
  readonly listed: boolean
  readonly startedMs: number
  /** May the address not deliver? Then the delivery can't be accepted, unless the policy only reports. */
  readonly forbidden: boolean
  /** Forbidden, and the policy enforces it: refused whatever its signature. */
  readonly barred: boolean
  outcome?: Outcome
  /** Once memory is set aside for it. */
  body?: AdmittedBody
  /** Why it was refused. */
  reason?: SignatureFailure | UnavailableReason | UnreadReason
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
