import type { AddressList } from '../address-list.ts'
import { compileAddressList } from '../address-list.ts'
import { publishedAddresses } from './published-addresses.ts'

export interface IpAllowlist {
  /** May this address deliver? */
  readonly isAllowed: AddressList
  /** Is it on a list that Customer.io or the operator wrote? Then its failures are never limited. */
  readonly isKnown: AddressList
  /** Adds what Customer.io has published since; replaces what was added before. The built-in list stays. */
  setPublished(addresses: readonly string[]): void
}

export interface IpAllowlistRules {
  /** `*` for any address; unset for the published list. */
  readonly allowed: '*' | readonly string[] | undefined
  readonly loopbackAllowed: boolean
}

/** The rules, and a published list that may grow while the service runs. */
export function createIpAllowlist(rules: IpAllowlistRules): IpAllowlist {
  const anyAddress = rules.allowed === '*'
  const configured = rules.allowed === '*' ? [] : (rules.allowed ?? publishedAddresses)
  const loopback = rules.loopbackAllowed ? ['127.0.0.1', '::1'] : []
  let allowed: AddressList
  let listed: AddressList
  publish([])
  return {
    isAllowed: address => anyAddress || allowed(address),
    isKnown: address => listed(address),
    setPublished: publish
  }

  function publish(addresses: readonly string[]): void {
    const added = rules.allowed === undefined ? addresses : []
    allowed = compileAddressList([...configured, ...loopback, ...added])
    listed = compileAddressList([...configured, ...publishedAddresses, ...addresses])
  }
}
