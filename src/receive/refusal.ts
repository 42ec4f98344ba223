// Tested by test/receive/admission.test.ts and test/receive/unlisted.slow.test.ts.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorResponseCode, errorResponses, UnavailableError } from '../errors.ts'
import { closeAfterResponse, sendError } from '../ops/error-responses.ts'
import type { Outcome } from '../ops/outcomes.ts'
import { BODY_LIMIT_BYTES, declaredBytes, UnreadBodyError, type UnreadReason } from './body.ts'
import type { Delivery } from './delivery.ts'
import type { FailedAttempts } from './failed-attempts.ts'

const RETRY_AFTER_SECONDS = 5

const outcomes: Partial<Record<ErrorResponseCode, Outcome>> = {
  CIO_SIGNATURE_INVALID: 'signature_invalid',
  CIO_SOURCE_FORBIDDEN: 'source_forbidden',
  CIO_RATE_LIMITED: 'rate_limited',
  CIO_BODY_TOO_LARGE: 'too_large',
  CIO_UNAVAILABLE: 'unavailable'
}

/** The ways to refuse a delivery. */
export interface Refusals {
  refuse(reply: FastifyReply, delivery: Delivery, code: ErrorResponseCode, waitSeconds?: number): FastifyReply
  /** Refuses a delivery without a valid signature. */
  refuseUnauthentic(reply: FastifyReply, delivery: Delivery): Promise<FastifyReply>
  /** Refuses a delivery whose body was not read completely. */
  refuseUnread(
    reply: FastifyReply,
    delivery: Delivery,
    reason: UnreadReason | 'overloaded'
  ): Promise<FastifyReply>
  /** Fastify's error handler. An authentic delivery gets 503 at worst. */
  refuseError(error: unknown, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply>
}

/** @param record called for each refused delivery, before it is answered */
export function createRefusals(
  failures: FailedAttempts,
  record: (reply: FastifyReply, delivery: Delivery, status: number) => void
): Refusals {
  return { refuse: refuseDelivery, refuseUnauthentic, refuseUnread, refuseError }

  function refuseDelivery(
    reply: FastifyReply,
    delivery: Delivery,
    code: ErrorResponseCode,
    waitSeconds = code === 'CIO_UNAVAILABLE' ? RETRY_AFTER_SECONDS : undefined
  ): FastifyReply {
    if (reply.sent) return reply
    delivery.outcome = outcomeOf(delivery, code)
    record(reply, delivery, errorResponses[code].status)
    return sendError(reply, code, waitSeconds)
  }

  /** Failures of listed addresses do not count, since all tenants of Customer.io share its addresses. */
  async function countFailure({ request }: FastifyReply, { listed }: Delivery): Promise<number | undefined> {
    return listed ? undefined : failures.count(request)
  }

  async function refuseUnauthentic(reply: FastifyReply, delivery: Delivery): Promise<FastifyReply> {
    const waitSeconds = await countFailure(reply, delivery)
    if (waitSeconds !== undefined) return refuseDelivery(reply, delivery, 'CIO_RATE_LIMITED', waitSeconds)
    return refuseDelivery(reply, delivery, delivery.barred ? 'CIO_SOURCE_FORBIDDEN' : 'CIO_SIGNATURE_INVALID')
  }

  /**
   * For an address that may deliver, the rest of the body is read and discarded, so that the sender gets the answer and
   * not a reset. For any other address the connection is closed.
   */
  async function refuseUnread(
    reply: FastifyReply,
    delivery: Delivery,
    reason: UnreadReason | 'overloaded'
  ): Promise<FastifyReply> {
    delivery.reason ??= reason
    const waitSeconds = await countFailure(reply, delivery)
    if (!delivery.barred) {
      return refuseDelivery(
        reply,
        delivery,
        reason === 'too_large' ? 'CIO_BODY_TOO_LARGE' : 'CIO_UNAVAILABLE'
      )
    }
    closeAfterResponse(reply)
    if (waitSeconds !== undefined) return refuseDelivery(reply, delivery, 'CIO_RATE_LIMITED', waitSeconds)
    if (reason === 'unfinished') return refuseDelivery(reply, delivery, 'CIO_REQUEST_TIMEOUT')
    const isTooLargeForAll = (declaredBytes(reply.request.headers) ?? 0) > BODY_LIMIT_BYTES
    return refuseDelivery(reply, delivery, isTooLargeForAll ? 'CIO_BODY_TOO_LARGE' : 'CIO_SOURCE_FORBIDDEN')
  }

  async function refuseError(
    error: unknown,
    request: FastifyRequest,
    reply: FastifyReply
  ): Promise<FastifyReply> {
    const { delivery } = request
    if (delivery === undefined) return sendError(reply, 'CIO_UNAVAILABLE', RETRY_AFTER_SECONDS)
    if (error instanceof UnreadBodyError) return refuseUnread(reply, delivery, error.reason)
    if (error instanceof UnavailableError) delivery.reason = error.reason
    delivery.cause = error
    return refuseDelivery(reply, delivery, 'CIO_UNAVAILABLE')
  }
}

/**
 * Only a key holder or a listed address can raise `unavailable`, the alert for an outage (law 9). Other requests whose
 * body was not read count as `aborted`.
 */
function outcomeOf(delivery: Delivery, code: ErrorResponseCode): Outcome {
  const isUnread = delivery.bytes === undefined
  const isAborted = isUnread && (!delivery.listed || delivery.reason === 'unfinished')
  return isAborted && code !== 'CIO_RATE_LIMITED' ? 'aborted' : (outcomes[code] ?? 'aborted')
}
