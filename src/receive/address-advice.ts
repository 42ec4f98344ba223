import { compileAddressList } from '../address-list.ts'
import type { Logger } from '../ops/logger.ts'

/** What an authentic delivery that was refused because of its address tells about the settings. */
export interface RefusedDelivery {
  /** The address that counted. */
  readonly address: string
  /** The address of the connection. */
  readonly peer: string
  readonly isForwarded: boolean
}

/** One line a minute says it; the metric counts each. */
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
 * Names the variable that is probably wrong when the holder of a key is refused because of the address.
 *
 * @param now monotonic milliseconds
 */
export function createAddressAdvice(
  log: Logger,
  now = () => performance.now()
): (refused: RefusedDelivery) => void {
  let lastMs = Number.NEGATIVE_INFINITY
  let untold = 0
  return ({ address, peer, isForwarded }) => {
    untold++
    if (now() - lastMs < INTERVAL_MS) return
    lastMs = now()
    const refused = untold
    untold = 0
    if (isForwarded && address === peer && isPrivate(peer)) {
      log.warn(
        { variable: 'TRUSTED_PROXIES', proxy: peer, refused },
        `authentic deliveries are refused: they come through a proxy at ${peer} that is not trusted; add it to TRUSTED_PROXIES`
      )
    } else {
      log.warn(
        { variable: 'CIO_ALLOWED_IPS', address, refused },
        `authentic deliveries are refused: ${address} is not an allowed source; add it to CIO_ALLOWED_IPS, or to TRUSTED_PROXIES if it is a proxy of yours`
      )
    }
  }
}
