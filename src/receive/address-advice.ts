// Tested by test/receive/unlisted.slow.test.ts.
import { compileAddressList, privateRanges } from '../address-list.ts'
import type { Logger } from '../ops/logger.ts'
import type { AddressVariable } from './delivery-stats.ts'

/** An authentic delivery that was refused because of its address. */
export interface RefusedDelivery {
  /** The address that was checked. */
  readonly address: string
  /** The remote address of the connection. */
  readonly peer: string
  readonly isForwarded: boolean
}

/** At most one log line per minute; the metric counts every delivery. */
const INTERVAL_MS = 60_000

/** With the range that providers share between customers (RFC 6598), which load balancers use too. */
const isPrivate = compileAddressList([...privateRanges, '100.64.0.0/10'])

/**
 * Logs which variable is probably wrong when authentic deliveries are refused because of their address.
 *
 * @param now monotonic milliseconds
 */
export function createAddressAdvice(
  log: Logger,
  now = () => performance.now()
): (refused: RefusedDelivery) => void {
  let lastMs = Number.NEGATIVE_INFINITY
  let unreported = 0
  return refusedDelivery => {
    const { address, peer } = refusedDelivery
    unreported++
    if (now() - lastMs < INTERVAL_MS) return
    lastMs = now()
    const refused = unreported
    unreported = 0
    if (wrongVariable(refusedDelivery) === 'TRUSTED_PROXIES') {
      log.warn(
        { variable: 'TRUSTED_PROXIES', proxy: peer, refused },
        `authentic deliveries are refused: they come through a proxy at ${peer} that is not trusted; add it to TRUSTED_PROXIES`
      )
    } else {
      log.warn(
        { variable: 'CIO_ALLOWED_IPS', address, refused },
        `authentic deliveries are refused: ${address} is not an allowed source; add it to CIO_ALLOWED_IPS, or to TRUSTED_PROXIES if it is your proxy`
      )
    }
  }
}

/** The variable that is probably wrong: private addresses are those of proxies. */
export const wrongVariable = ({ address, peer, isForwarded }: RefusedDelivery): AddressVariable =>
  isForwarded && address === peer && isPrivate(peer) ? 'TRUSTED_PROXIES' : 'CIO_ALLOWED_IPS'
