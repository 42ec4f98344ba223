/**
 * Every failure this service answers with. The set is closed: a code that is not here can't be sent,
 * and nothing but `error` and `code` is ever told to a caller.
 */
const catalogue = {
  CIO_BAD_REQUEST: { status: 400, error: 'Malformed request' },
  CIO_SIGNATURE_INVALID: { status: 401, error: 'Invalid webhook signature' },
  CIO_SOURCE_FORBIDDEN: { status: 403, error: 'Source address not allowed' },
  CIO_METRICS_FORBIDDEN: { status: 403, error: 'Metrics are not open to this address' },
  CIO_NOT_FOUND: { status: 404, error: 'Not found' },
  CIO_METHOD_NOT_ALLOWED: { status: 405, error: 'Method not allowed' },
  CIO_REQUEST_TIMEOUT: { status: 408, error: 'Request took too long' },
  CIO_BODY_TOO_LARGE: { status: 413, error: 'Request body too large' },
  CIO_RATE_LIMITED: { status: 429, error: 'Too many failed attempts' },
  CIO_HEADERS_TOO_LARGE: { status: 431, error: 'Request headers too large' },
  CIO_UNAVAILABLE: { status: 503, error: 'Temporarily unavailable, please retry' }
} as const

export type ErrorResponseCode = keyof typeof catalogue

/** One refusal, ready to send: `body` is the JSON text. */
export interface ErrorResponse {
  readonly code: ErrorResponseCode
  readonly status: number
  readonly body: string
}

/** The answer for each code, serialized once. */
export const errorResponses = Object.fromEntries(
  Object.entries(catalogue).map(([code, { status, error }]) => [
    code,
    Object.freeze({ code, status, body: JSON.stringify({ error, code }) })
  ])
) as Readonly<Record<ErrorResponseCode, ErrorResponse>>

/** Why an event could not be kept. All of them are a 503: the sender's retry finds out what became of it. */
export type UnavailableReason =
  | 'redis_down'
  | 'redis_timeout'
  | 'redis_error'
  | 'redis_full'
  | 'log_full'
  | 'durability_not_reached'
  | 'overloaded'
  | 'deadline'

/** Thrown by the event log when an event was not kept, or when nobody can know whether it was. */
export class UnavailableError extends Error {
  readonly reason: UnavailableReason

  constructor(reason: UnavailableReason, options?: ErrorOptions) {
    super(`event not kept: ${reason}`, options)
    this.name = 'UnavailableError'
    this.reason = reason
  }
}

/** The code of an error of Node or a library, such as `ENOENT`; `undefined` where it has none. */
export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** An error whose message is written for the operator: log lines show it, so it holds neither a secret nor a payload. */
export class ReportedError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ReportedError'
  }
}

/** A setting that stops the start. The message is one line: the variable, what was read, what is allowed. */
export class ConfigError extends ReportedError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ConfigError'
  }
}
