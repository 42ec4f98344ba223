import type { Endpoint } from './endpoint.ts'

export type Area =
  | 'reach'
  | 'signature'
  | 'time'
  | 'idempotency'
  | 'address'
  | 'body'
  | 'edge-cases'
  | 'http'
  | 'answers'

/**
 * - `pass`: the expected behaviour was observed
 * - `fail`: a fault; the check's `why` and `remedy` apply
 * - `warn`: not a fault, but the operator should know
 * - `skip`: could not be checked; the observation says why
 */
export type Status = 'pass' | 'fail' | 'warn' | 'skip'

export interface Finding {
  readonly status: Status
  /** What was observed, in one sentence. Never contains a key, a signature or a body. */
  readonly observed: string
}

/** One property of an endpoint that is checked. All texts are whole sentences for operators. */
export interface Check {
  readonly id: string
  readonly area: Area
  /** What must hold. */
  readonly title: string
  /** What is sent. Together with `requests` this is a promise: nothing else is sent. */
  readonly sends: string
  /** Number of requests at most. */
  readonly requests: number
  readonly expects: string
  /** Why a fault matters for the events of Customer.io. */
  readonly why: string
  readonly remedy: string
  /**
   * `anyone`: sends only what an outsider could send and a correct endpoint refuses; these checks make up `--read-only`.
   * `acceptance`: signed with the right key, or meaningless if such deliveries are refused.
   */
  readonly needs: 'anyone' | 'acceptance'
  /** Ids of checks whose failure this one would only repeat. */
  readonly after?: readonly string[]
  /**
   * Runs while no other check does: it measures order, holds a connection or uses up bandwidth, which would distort the
   * other checks on an endpoint that handles requests one by one.
   */
  readonly alone?: boolean
  readonly run: (endpoint: Endpoint) => Promise<Finding>
}

export const pass = (observed: string): Finding => ({ status: 'pass', observed })
export const fail = (observed: string): Finding => ({ status: 'fail', observed })
export const warn = (observed: string): Finding => ({ status: 'warn', observed })
export const skip = (observed: string): Finding => ({ status: 'skip', observed })

export const NOT_ACCEPTED =
  'Authentic deliveries from here are not accepted in time, so this cannot be checked.'

/** An address of no host: TEST-NET-3 (RFC 5737). */
export const UNUSED_ADDRESS = '203.0.113.9'

export const WRONG_KEY = 'not the key'

export interface Result extends Finding {
  readonly check: Check
  readonly requests: number
  readonly durationMs: number
}
