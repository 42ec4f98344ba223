// Tested by test/console/api.slow.test.ts.
import { ReportedError } from '../errors.ts'

/** Every error of the API. The set is closed: each has `error`, a sentence for the operator, and its code. */
export const statusOf = {
  CIO_BAD_REQUEST: 400,
  CIO_UNAUTHORIZED: 401,
  CIO_FORBIDDEN: 403,
  CIO_NOT_FOUND: 404,
  CIO_CONFLICT: 409,
  CIO_RATE_LIMITED: 429,
  CIO_INTERNAL_ERROR: 500,
  CIO_UNAVAILABLE: 503
} as const

type ApiErrorCode = keyof typeof statusOf

/** The message is sent: it must contain neither a secret nor a payload. */
export class ApiError extends ReportedError {
  override readonly name = 'ApiError'
  readonly code: ApiErrorCode
  readonly retryAfterSeconds: number | undefined

  constructor(code: ApiErrorCode, message: string, retryAfterSeconds?: number) {
    super(message)
    this.code = code
    this.retryAfterSeconds = retryAfterSeconds
  }
}
