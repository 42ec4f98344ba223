/**
 * Every error response of this service. The set is closed: no other code can be sent, and a caller never gets more than
 * `error` and `code`.
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

/** `body` is JSON text. */
interface ErrorResponse {
  readonly code: ErrorResponseCode
  readonly status: number
  readonly body: string
}

/** The response of each code, serialized once. */
export const errorResponses = Object.fromEntries(
  Object.entries(catalogue).map(([code, { status, error }]) => [
    code,
    Object.freeze({ code, status, body: JSON.stringify({ error, code }) })
  ])
) as Readonly<Record<ErrorResponseCode, ErrorResponse>>

/** Why an event was not kept, or why this is unknown. Each is answered with 503, and the sender's retry is deduplicated. */
export const UNAVAILABLE_REASONS = [
  'redis_down',
  'redis_timeout',
  'redis_error',
  'redis_full',
  'log_full',
  'durability_not_reached',
  'overloaded',
  'deadline'
] as const
export type UnavailableReason = (typeof UNAVAILABLE_REASONS)[number]

/** Thrown if an event was not kept, or if the outcome is unknown. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError'
  readonly reason: UnavailableReason

  constructor(reason: UnavailableReason, options?: ErrorOptions) {
    super(`event not kept: ${reason}`, options)
    this.reason = reason
  }
}

/** The code of an error of Node or a library, such as `ENOENT`; `undefined` if it has none. */
export const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

/** An error with a message for the operator. Log lines show it, so it must contain neither secrets nor payloads. */
export class ReportedError extends Error {
  override readonly name: string = 'ReportedError'
}

/** An invalid setting. The message is one line: the variable, what was read, what is allowed. */
export class ConfigError extends ReportedError {
  override readonly name = 'ConfigError'
}
