import { BlockList, isIP } from 'node:net'
import { publishedAddresses } from './published-addresses.ts'

/** Is this address on the list? Text that is no address is on none. */
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
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }

  // BlockList.check builds native objects at every call; the few addresses that matter are asked about always.
  const verdicts = new Map<string, boolean>()
  return address => {
    const known = verdicts.get(address)
    if (known !== undefined) return known
    const [plain = ''] = address.split('%', 1) // a link-local address comes with the name of its interface
    const family = isIP(plain)
    const verdict = family !== 0 && list.check(plain, family === 4 ? 'ipv4' : 'ipv6')
    if (verdicts.size >= REMEMBERED_VERDICTS) verdicts.clear()
    verdicts.set(address, verdict)
    return verdict
  }
}

export interface Admission {
  /** May this address deliver? */
  readonly allowed: AddressList
  /** Is it on a list that Customer.io or the operator wrote? Then its failures are never limited. */
  readonly listed: AddressList
}

export interface AdmissionRules {
  /** `*` for any address; unset for the published list. */
  readonly allowed: '*' | readonly string[] | undefined
  readonly loopbackAllowed: boolean
}

export function compileAdmission(rules: AdmissionRules): Admission {
  const configured = rules.allowed === '*' ? [] : (rules.allowed ?? publishedAddresses)
  const loopback = rules.loopbackAllowed ? ['127.0.0.0/8', '::1'] : []
  return {
    allowed: rules.allowed === '*' ? () => true : compileAddressList([...configured, ...loopback]),
    listed: compileAddressList([...configured, ...publishedAddresses])
  }
}
