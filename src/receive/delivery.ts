import type { UnavailableReason } from '../errors.ts'
import type { ParkedReason } from '../log/log-entry.ts'
import type { Outcome, SignatureFailure } from '../ops/outcomes.ts'
import type { RecordedSpan } from '../ops/spans.ts'
import type { Source } from '../settings/sources.ts'
import type { AdmittedBody, UnreadReason } from './body.ts'
import type { AddressVariable } from './delivery-stats.ts'

/** One delivery, as its log line and the metrics show it. Never a body, the value of a header, or a secret. */
export interface Delivery {
  readonly source: Source
  /** The sender's address, as far as the trusted proxies vouch for it; `unknown` if that is not an address. */
  readonly address: string
  /** Whether the address is on a list of Customer.io or the operator. Failures of other addresses are limited. */
  readonly listed: boolean
  readonly startedMs: number
  /** Whether the address may deliver. If not, the policy decides whether the delivery is refused or only reported. */
  readonly addressAllowed: boolean
  /** The address may not deliver, and the policy enforces it: refused whatever its signature. */
  readonly barred: boolean
  outcome?: Outcome
  /** Set once memory is reserved for it. */
  body?: AdmittedBody
  /** Why it was refused. */
  reason?: SignatureFailure | UnavailableReason | UnreadReason
  /** Why it was parked. */
  parked?: ParkedReason
  key?: 'current' | 'previous'
  /** Authentic, but its address may not deliver: the variable that is probably wrong. */
  wrongAddress?: AddressVariable
  /** It carries the user agent of `cio-webhook doctor`, whose deliveries are meant to fail. Anyone can send that. */
  doctor?: boolean
  id?: string
  type?: string
  bytes?: number
  ageSeconds?: number
  logMs?: number
  cause?: unknown
  /** Set once its signature is valid, if its trace is recorded. */
  span?: RecordedSpan | undefined
}
