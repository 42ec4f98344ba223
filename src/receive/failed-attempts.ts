// Tested by test/receive/unlisted.slow.test.ts.
import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { IPV6_PREFIX_LENGTH } from '../address.ts'

/** How often an address has failed within the window. Beyond the limit, both resolve with the seconds to wait. */
export interface FailedAttempts {
  check(request: FastifyRequest): Promise<number | undefined>
  /** Counts one more failure. */
  count(request: FastifyRequest): Promise<number | undefined>
}

export async function countFailedAttempts(
  app: FastifyInstance,
  { maxFailures, windowMs }: { readonly maxFailures: number; readonly windowMs: number }
): Promise<FailedAttempts> {
  await app.register(rateLimit, {
    global: false,
    max: maxFailures,
    timeWindow: windowMs,
    keyGenerator: ({ delivery }) => normalizeIP(delivery?.address ?? '', IPV6_PREFIX_LENGTH)
  })
  const rateLimiter = app.createRateLimit()
  const attempt = async (request: FastifyRequest, increment: boolean): Promise<number | undefined> => {
    const attempts = await rateLimiter(request, { increment })
    return attempts.isAllowed || !attempts.isExceeded ? undefined : attempts.ttlInSeconds
  }
  return {
    check: request => attempt(request, false),
    count: request => attempt(request, true)
  }
}
