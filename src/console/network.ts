// Tested by test/console/access.test.ts and test/console/api.slow.test.ts.
import { normalizeIP } from '@fastify/rate-limit'
import { IPV6_PREFIX_LENGTH } from '../address.ts'

/** Whose attempts are counted together: an IPv4 address, or a network of IPv6. */
export const networkOf = (address: string): string => normalizeIP(address, IPV6_PREFIX_LENGTH)
