// Tested by test/console/api.slow.test.ts.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { errorCode, ReportedError, UnavailableError } from '../../errors.ts'
import { errorCause, isConnectionLoss } from '../../redis/causes.ts'
import { ActionError } from '../../tools/action-error.ts'
import { ApiError, statusOf } from '../api-error.ts'
import { ConsoleError } from '../console-error.ts'
import type { ConsoleDependencies } from '../context.ts'

const RETRY_SECONDS = 2

/** Sends any error as JSON. What is not expected is logged, and its text is not sent. */
export function sendApiError(
  request: FastifyRequest,
  reply: FastifyReply,
  error: unknown,
  { log, isRedisUp }: Pick<ConsoleDependencies, 'log' | 'isRedisUp'>
): FastifyReply {
  const { code, message, retryAfterSeconds } = toApiError(error, isRedisUp())
  if (code === 'CIO_INTERNAL_ERROR' || (code === 'CIO_UNAVAILABLE' && !(error instanceof ApiError))) {
    log.error({ err: error, path: request.routeOptions.url }, 'console: a request to the API failed')
  }
  if (retryAfterSeconds !== undefined) reply.header('retry-after', Math.max(1, retryAfterSeconds))
  return reply.code(statusOf[code]).send({ error: message, code })
}

function toApiError(error: unknown, isRedisUp: boolean): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof ActionError) {
    return new ApiError(error.refusal === 'unknown' ? 'CIO_NOT_FOUND' : 'CIO_CONFLICT', error.message)
  }
  if (error instanceof ConsoleError) return ofConsole(error)
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status >= 400 && status < 500) return new ApiError('CIO_BAD_REQUEST', malformed(error))
  if (error instanceof ReportedError) return new ApiError('CIO_UNAVAILABLE', error.message, RETRY_SECONDS)
  return (
    ofRedis(error, isRedisUp) ?? new ApiError('CIO_INTERNAL_ERROR', 'The log of the service has the cause.')
  )
}

function ofConsole({ status, message }: ConsoleError): ApiError {
  switch (status) {
    case 401:
      return new ApiError('CIO_UNAUTHORIZED', message)
    case 404:
      return new ApiError('CIO_NOT_FOUND', message)
    case 503:
      return new ApiError('CIO_UNAVAILABLE', message, RETRY_SECONDS)
    default: // another site, an unknown host
      return new ApiError('CIO_FORBIDDEN', message)
  }
}

function malformed(error: unknown): string {
  switch (errorCode(error)) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return 'The body must be JSON: set content-type to application/json.'
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return 'The body is too large: at most 64 KiB.'
    default:
      return 'The request or its JSON is malformed.'
  }
}

function ofRedis(error: unknown, isRedisUp: boolean): ApiError | undefined {
  const cause = errorCause(error)
  const isLost =
    error instanceof Error &&
    (error instanceof UnavailableError || error.name === 'ReplyError' || isConnectionLoss(error))
  if (isRedisUp && !isLost) return undefined
  const why = cause === undefined ? 'the log of the service has the cause' : cause
  return new ApiError('CIO_UNAVAILABLE', `Redis cannot be used: ${why}.`, RETRY_SECONDS)
}
