import rateLimit, { normalizeIP } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** How often an address has failed within the window. Each resolves with the seconds to wait once that is too often. */
export interface FailedAttempts {
  look(request: FastifyRequest): Promise<number | undefined>
  count(request: FastifyRequest): Promise<number | undefined>
}

/** An IPv6 caller has at least this whole network, and could take a new address of it each time. */
const IPV6_PREFIX_LENGTH = 64

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
  const attempt = app.createRateLimit()
  const ask = async (request: FastifyRequest, increment: boolean): Promise<number | undefined> => {
    const attempts = await attempt(request, { increment })
    return attempts.isAllowed || !attempts.isExceeded ? undefined : attempts.ttlInSeconds
  }
  return {
    look: request => ask(request, false),
    count: request => ask(request, true)
  }
}
