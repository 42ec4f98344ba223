// Tested by test/console/access.test.ts and test/console/access.slow.test.ts.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { withTimeout } from '../async/abort.ts'
import type { Audit } from './audit.ts'
import { networkOf } from './network.ts'
import { type Role, roles } from './sessions.ts'

/** Of log-ins, and of log-outs, per minute. */
const MAX_PER_ADDRESS = 10
/** Log-ins per minute from addresses that nobody has logged in from before. At this rate, guessing is hopeless. */
const MAX_OF_STRANGERS = 30
export const WINDOW_MS = 60_000

/** Records of changes and log-ins in which an address is looked for. */
const SEARCHED_RECORDS = 1000
const SEARCH_LIMIT_MS = 500
const KNOWN_VALID_MS = 10_000

interface LogInLimits {
  /** Counts a try to log in. @returns the roles whose password may be compared; none beyond the limits */
  mayLogIn(request: FastifyRequest): Promise<readonly Role[]>
  /** Counts a log-out. */
  mayLogOut(request: FastifyRequest): Promise<boolean>
}

/**
 * Many addresses that guess together must not lock out anybody else. So beyond the limit of all addresses, one that the
 * audit records of log-ins name has only its own limit, and only for the role of that log-in: a viewer who uses many
 * addresses must not get more tries at the password of operators. The records are the same on all replicas.
 *
 * @param app has `@fastify/rate-limit`
 */
export function createLogInLimits(app: FastifyInstance, audit: Pick<Audit, 'list'>): LogInLimits {
  const perAddress = {
    max: MAX_PER_ADDRESS,
    timeWindow: WINDOW_MS,
    keyGenerator: (request: FastifyRequest) => networkOf(request.ip)
  }
  const ofAddress = app.createRateLimit(perAddress)
  // Each log-out is remembered for 12 hours, and a password is enough to make any number of sessions.
  const ofLogOuts = app.createRateLimit(perAddress)
  const ofAll = app.createRateLimit({
    max: MAX_OF_STRANGERS,
    timeWindow: WINDOW_MS,
    keyGenerator: () => 'all'
  })
  let known: { readonly logIns: readonly LogIn[]; readonly expiresMs: number } | undefined

  return {
    mayLogIn: async request => {
      // An address that is over its own limit does not use up the limit of all.
      if (isOver(await ofAddress(request))) return []
      return isOver(await ofAll(request)) ? knownRoles(request) : roles
    },
    mayLogOut: async request => !isOver(await ofLogOuts(request))
  }

  /** While Redis does not answer, no address is known. */
  async function knownRoles({ ip }: FastifyRequest): Promise<readonly Role[]> {
    if (known === undefined || performance.now() > known.expiresMs) {
      const records = await withTimeout(
        SEARCH_LIMIT_MS,
        audit.list(SEARCHED_RECORDS).catch(() => [])
      )
      const logIns = (records ?? []).filter(({ action }) => action === 'log_in')
      known = {
        logIns: logIns.map(({ role, address }) => ({ role, network: networkOf(address) })),
        expiresMs: performance.now() + KNOWN_VALID_MS
      }
    }
    const ofNetwork = known.logIns.filter(logIn => logIn.network === networkOf(ip))
    return roles.filter(role => ofNetwork.some(logIn => logIn.role === role))
  }
}

interface LogIn {
  readonly role: Role | undefined
  readonly network: string
}

const isOver = (limit: { isAllowed: boolean; isExceeded?: boolean }): boolean =>
  !limit.isAllowed && limit.isExceeded === true
