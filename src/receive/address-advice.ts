// Tested by test/receive/unlisted.test.ts.
import { compileAddressList } from '../address-list.ts'
import type { Logger } from '../ops/logger.ts'

/** An authentic delivery that was refused because of its address. */
interface RefusedDelivery {
  /** The address that was checked. */
  readonly address: string
  /** The remote address of the connection. */
  readonly peer: string
  readonly isForwarded: boolean
}

/** At most one log line per minute; the metric counts every delivery. */
const INTERVAL_MS = 60_000

const isPrivate = compileAddressList([
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '::1',
  'fc00::/7',
  'fe80::/10'
])

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
  return ({ address, peer, isForwarded }) => {
    unreported++
    if (now() - lastMs < INTERVAL_MS) return
    lastMs = now()
    const refused = unreported
    unreported = 0
    if (isForwarded && address === peer && isPrivate(peer)) {
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
