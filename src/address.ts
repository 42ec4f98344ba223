import { isIP, SocketAddress } from 'node:net'

/** `192.0.2.1:443`, as Azure's gateways write it into `x-forwarded-for`. */
const V4_WITH_PORT = /^(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}$/
/** `[2001:db8::1]` and `[2001:db8::1]:443`, as in RFC 7239 and in URLs. */
const IN_BRACKETS = /^\[([^\]]*:[^\]]*)\](?::\d{1,5})?$/
const MAPPED_V4 = '::ffff:'

/** An IPv6 caller has at least a network of this size, and could use another address of it for each request. */
export const IPV6_PREFIX_LENGTH = 64

/**
 * The canonical form of an IP address, which lists, limits and log lines use. The input may have a port, brackets, quotes,
 * a zone or upper case, or be an IPv4 address mapped into IPv6.
 *
 * @returns `undefined` for text that is not an address
 */
export function parseAddress(text: string): string | undefined {
  if (isIP(text) === 4) return text
  const address = withoutPort(withoutQuotes(text.trim()))
  const [plain = ''] = address.split('%', 1) // the zone is a network interface of this machine
  switch (isIP(address) === 0 ? 0 : isIP(plain)) {
    case 4:
      return plain
    case 6:
      return canonicalV6(plain)
    default:
      return undefined
  }
}

/** This machine, by the spelling of the host in a URL: no name is looked up. */
export const isLoopbackHost = (hostname: string): boolean =>
  /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)

/** The host of a URL, an IPv6 address without its brackets: as sockets take it. */
export const socketHost = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')

const withoutQuotes = (text: string): string => (/^".*"$/.test(text) ? text.slice(1, -1) : text)

const withoutPort = (text: string): string =>
  V4_WITH_PORT.exec(text)?.[1] ?? IN_BRACKETS.exec(text)?.[1] ?? text

function canonicalV6(text: string): string {
  const { address } = new SocketAddress({ address: text, family: 'ipv6' })
  const embedded = address.slice(MAPPED_V4.length)
  return address.startsWith(MAPPED_V4) && isIP(embedded) === 4 ? embedded : address
}
