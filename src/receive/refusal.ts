import type { FastifyReply, FastifyRequest } from 'fastify'
import { type RefusalCode, UnavailableError } from '../errors.ts'
import { closeAfterAnswer, refuse } from '../ops/answers.ts'
import type { Outcome } from '../ops/metrics.ts'
import { BODY_LIMIT_BYTES, declaredBytes, UnreadBodyError, type UnreadReason } from './body.ts'
import type { Delivery } from './delivery.ts'
import type { FailedAttempts } from './failed-attempts.ts'

const RETRY_AFTER_SECONDS = 5

const outcomes: Partial<Record<RefusalCode, Outcome>> = {
  CIO_SIGNATURE_INVALID: 'signature_invalid',
  CIO_SOURCE_FORBIDDEN: 'source_forbidden',
  CIO_RATE_LIMITED: 'rate_limited',
  CIO_BODY_TOO_LARGE: 'too_large',
  CIO_UNAVAILABLE: 'unavailable'
}

/** Refuses, and notes the outcome on the delivery. */
export function refuseDelivery(
  reply: FastifyReply,
  code: RefusalCode,
  retryAfterSeconds = code === 'CIO_UNAVAILABLE' ? RETRY_AFTER_SECONDS : undefined
): FastifyReply {
  const { delivery } = reply.request
  if (delivery !== undefined) delivery.outcome = outcomeOf(delivery, code)
  return refuse(reply, code, retryAfterSeconds)
}

/**
 * Only the holder of a key, or an address on a list, can raise `unavailable`, the alert for an outage. Of all others
 * nothing is known before the body is read but that the request ended early.
 */
function outcomeOf(delivery: Delivery, code: RefusalCode): Outcome {
  const isUnread = delivery.bytes === undefined
  const isAborted = isUnread && (!delivery.listed || delivery.reason === 'unfinished')
  return isAborted && code !== 'CIO_RATE_LIMITED' ? 'aborted' : (outcomes[code] ?? 'aborted')
}

/**
 * Refuses a delivery that is not authentic. Failures are counted, but never those of an address that Customer.io
 * shares among its tenants.
 */
export async function refuseUnauthentic(
  reply: FastifyReply,
  delivery: Delivery,
  failures: FailedAttempts
): Promise<FastifyReply> {
  const waitSeconds = delivery.listed ? undefined : await failures.count(reply.request)
  if (waitSeconds !== undefined) return refuseDelivery(reply, 'CIO_RATE_LIMITED', waitSeconds)
  return refuseDelivery(reply, delivery.barred ? 'CIO_SOURCE_FORBIDDEN' : 'CIO_SIGNATURE_INVALID')
}

/**
 * Refuses a delivery whose body was not read to its end. The rest of it is discarded as it comes, so that a sender
 * that may deliver gets the answer and not a reset. On any other address the connection is closed.
 */
export async function refuseUnread(
  reply: FastifyReply,
  delivery: Delivery,
  reason: UnreadReason | 'overloaded',
  failures: FailedAttempts
): Promise<FastifyReply> {
  delivery.reason ??= reason
  const waitSeconds = delivery.listed ? undefined : await failures.count(reply.request)
  if (!delivery.barred) {
    reply.removeHeader('connection')
    return refuseDelivery(reply, reason === 'too_large' ? 'CIO_BODY_TOO_LARGE' : 'CIO_UNAVAILABLE')
  }
  closeAfterAnswer(reply)
  if (waitSeconds !== undefined) return refuseDelivery(reply, 'CIO_RATE_LIMITED', waitSeconds)
  if (reason === 'unfinished') return refuseDelivery(reply, 'CIO_REQUEST_TIMEOUT')
  const isTooLargeForAll = (declaredBytes(reply.request.headers) ?? 0) > BODY_LIMIT_BYTES
  return refuseDelivery(reply, isTooLargeForAll ? 'CIO_BODY_TOO_LARGE' : 'CIO_SOURCE_FORBIDDEN')
}

/** What an error below the route means for the sender. An authentic delivery is never answered worse than 503. */
export async function refuseError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  failures: FailedAttempts
): Promise<FastifyReply> {
  const { delivery } = request
  if (delivery === undefined) return refuse(reply, 'CIO_UNAVAILABLE', RETRY_AFTER_SECONDS)
  if (error instanceof UnreadBodyError) return refuseUnread(reply, delivery, error.reason, failures)
  if (error instanceof UnavailableError) delivery.reason = error.reason
  delivery.cause = error
  return refuseDelivery(reply, 'CIO_UNAVAILABLE')
}
