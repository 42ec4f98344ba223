// Tested by test/console/access.test.ts and test/console/api.slow.test.ts.
import { normalizeIP } from '@fastify/rate-limit'

/** An IPv6 caller has at least a network of this size. */
const IPV6_PREFIX_LENGTH = 64

/** Whose attempts are counted together: an IPv4 address, or a network of IPv6. */
export const networkOf = (address: string): string => normalizeIP(address, IPV6_PREFIX_LENGTH)
