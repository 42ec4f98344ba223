// Tested by test/address.test.ts.
import { BlockList, isIP } from 'node:net'
import { parseAddress } from './address.ts'

/** Is this address on the list, in whatever notation? Text that is not an address is on none. */
export type AddressList = (address: string) => boolean

/** Verdicts kept in memory: Customer.io uses some dozens of addresses, a flood of others must not grow it. */
const REMEMBERED_VERDICTS = 4096

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

  // BlockList.check builds native objects at every call; the few addresses that matter are asked about always.
  const verdicts = new Map<string, boolean>()
  return text => {
    const address = parseAddress(text)
    if (address === undefined) return false
    const known = verdicts.get(address)
    if (known !== undefined) return known
    const verdict = list.check(address, familyOf(address))
    if (verdicts.size >= REMEMBERED_VERDICTS) verdicts.clear()
    verdicts.set(address, verdict)
    return verdict
  }
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6')
