// Tested by test/address.test.ts.
import { BlockList, isIP } from 'node:net'
import { parseAddress } from './address.ts'

/** Whether an address is on the list, in any notation. Text that is not an address is on no list. */
export type AddressList = (address: string) => boolean

/** Loopback, private and link-local addresses. */
export const privateRanges: readonly string[] = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '::1',
  'fc00::/7',
  'fe80::/10'
]

/** Customer.io uses some dozens of addresses. A flood from others must not let the cache grow. */
const MAX_CACHED = 4096

/**
 * @param entries IPv4 and IPv6 addresses and CIDR ranges; an IPv4 entry also covers its mapped form
 *   (`::ffff:192.0.2.1`)
 */
export function compileAddressList(entries: readonly string[]): AddressList {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', prefix] = entry.split('/')
    if (prefix === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(prefix), familyOf(address))
  }

  // BlockList.check creates native objects in each call.
  const cache = new Map<string, boolean>()
  return text => {
    const address = parseAddress(text)
    if (address === undefined) return false
    const cached = cache.get(address)
    if (cached !== undefined) return cached
    const isListed = list.check(address, familyOf(address))
    if (cache.size >= MAX_CACHED) cache.clear()
    cache.set(address, isListed)
    return isListed
  }
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6')
