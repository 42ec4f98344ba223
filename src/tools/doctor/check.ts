import type { Endpoint } from './endpoint.ts'

export type Area =
  | 'reach'
  | 'signature'
  | 'time'
  | 'once'
  | 'address'
  | 'body'
  | 'oddities'
  | 'http'
  | 'answers'

/**
 * - `well`: what is expected was seen
 * - `wrong`: a fault; the check's `why` and `mend` apply
 * - `note`: no fault, but the operator should know
 * - `unjudged`: nothing can be said, and why
 */
export type Status = 'well' | 'wrong' | 'note' | 'unjudged'

export interface Finding {
  readonly status: Status
  /** What was seen, in one sentence. Never a key, a signature or a body. */
  readonly saw: string
}

/** One question that is asked of an endpoint. All texts are for operators: plain words, whole sentences. */
export interface Check {
  readonly id: string
  readonly area: Area
  /** What holds when all is well. */
  readonly title: string
  /** What is sent. Together with `requests` this is a promise: nothing else leaves. */
  readonly sends: string
  /** At most so many requests. */
  readonly requests: number
  readonly expects: string
  /** Why a fault matters, for the events of Customer.io above all. */
  readonly why: string
  readonly mend: string
  /**
   * `anyone`: what an outsider could send, refused by every sound receiver; all that `--read-only` asks.
   * `acceptance`: signed with the right key, or meaningless while such deliveries are refused.
   */
  readonly needs: 'anyone' | 'acceptance'
  /** When one of these is wrong this one would only repeat it. */
  readonly after?: readonly string[]
  /**
   * Asked while nothing else is: it measures order, holds a connection, or fills the line, which an endpoint that
   * takes one request at a time would make the others pay for.
   */
  readonly alone?: boolean
  readonly run: (endpoint: Endpoint) => Promise<Finding>
}

export const well = (saw: string): Finding => ({ status: 'well', saw })
export const wrong = (saw: string): Finding => ({ status: 'wrong', saw })
export const note = (saw: string): Finding => ({ status: 'note', saw })
export const unjudged = (saw: string): Finding => ({ status: 'unjudged', saw })

/** Why most is left open where an authentic delivery is not accepted. */
export const NOT_ACCEPTED =
  'Authentic deliveries from here are not accepted in time, so this can not be told.'

export const NOT_RUN = 'Not run: it would only repeat the root cause.'
export const OUT_OF_TIME = 'Not finished: the examination ends after 55 s.'
