import { type AddressList, compileAddressList } from '../address-list.ts'
import { publishedAddresses } from './published-addresses.ts'

export interface IpAllowlist {
  /** Whether this address may deliver. */
  readonly isAllowed: AddressList
  /** Whether it is on a list of Customer.io or the operator. Its failures are never limited then. */
  readonly isKnown: AddressList
  /** Adds published addresses to the built-in list. They replace the ones of the call before. */
  setPublished(addresses: readonly string[]): void
}

interface IpAllowlistRules {
  /** `*` for any address; `undefined` for the published list. */
  readonly allowed: '*' | readonly string[] | undefined
  readonly loopbackAllowed: boolean
}

export function createIpAllowlist(rules: IpAllowlistRules): IpAllowlist {
  const anyAddress = rules.allowed === '*'
  const configured = rules.allowed === '*' ? [] : (rules.allowed ?? publishedAddresses)
  const loopback = rules.loopbackAllowed ? ['127.0.0.1', '::1'] : []
  let allowed: AddressList
  let known: AddressList
  setPublished([])
  return {
    isAllowed: address => anyAddress || allowed(address),
    isKnown: address => known(address),
    setPublished
  }

  function setPublished(addresses: readonly string[]): void {
    const added = rules.allowed === undefined ? addresses : []
    allowed = compileAddressList([...configured, ...loopback, ...added])
    known = compileAddressList([...configured, ...publishedAddresses, ...addresses])
  }
}
