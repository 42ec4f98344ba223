// Tested by test/console/api.slow.test.ts.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Person } from '../access.ts'
import { ApiError } from '../api-error.ts'
import { networkOf } from '../network.ts'

/** Wrong tokens per minute and address. */
const MAX_WRONG = 10
const WINDOW_MS = 60_000

/**
 * Limits how often an address can give a wrong token. Beyond the limit no token is compared, not even the right one.
 * There is no limit of all addresses together: with it, anybody could lock out the holder of the token.
 *
 * @param app has `@fastify/rate-limit`
 * @returns a function that identifies the holder by `identify`, and throws ApiError beyond the limit
 */
export function limitWrongTokens(app: FastifyInstance) {
  const attempts = app.createRateLimit({
    max: MAX_WRONG,
    timeWindow: WINDOW_MS,
    keyGenerator: request => `token ${networkOf(request.ip)}`
  })
  return async (request: FastifyRequest, identify: () => Person | undefined): Promise<Person | undefined> => {
    if (!request.headers.authorization) return undefined // not a try
    const before = await attempts(request, { increment: false })
    if (!before.isAllowed && before.remaining <= 0) {
      throw new ApiError(
        'CIO_RATE_LIMITED',
        'Too many wrong tokens from this address. Wait a minute.',
        before.ttlInSeconds
      )
    }
    const person = identify()
    if (person === undefined) await attempts(request, { increment: true })
    return person
  }
}
