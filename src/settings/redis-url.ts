import { isIP } from 'node:net'

/** One Redis server, as `REDIS_URL` names it. */
export interface RedisServer {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
}

const DEFAULT_PORT = 6379

export const REDIS_URL_FORM = 'redis://[user:password@]host[:port][/database], or rediss:// in front for TLS'

const ENCODE_PASSWORD =
  'encode the password (and the user name): write @ as %40, / as %2F, # as %23, ? as %3F, % as %25, a space as %20'

/** What RFC 3986 allows before the `@`. The WHATWG parser of `URL` accepts more, and guesses. */
const USER_INFO = /^(?:[\w.~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*$/
const SERVER = /^(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/
const DATABASE = /^\/?$|^\/(0|[1-9]\d{0,8})$/

/**
 * Reads a Redis URL strictly: ioredis ignores unknown parts, and uses database 0 if the database is not a number or is
 * half of a password.
 *
 * @returns the server, or the problem in words that do not repeat the URL, since it may contain a password
 */
export function parseRedisUrl(text: string): RedisServer | { readonly problem: string } {
  const scheme = /^rediss?:\/\//.exec(text)?.[0]
  if (scheme === undefined) return { problem: 'it must begin with redis:// or rediss://' }
  const rest = text.slice(scheme.length)
  const authority = /^[^/?#]*/.exec(rest)?.[0] ?? ''
  const tail = rest.slice(authority.length)
  // A / ? or # in a password ends the authority too early.
  if (tail.includes('@')) return { problem: ENCODE_PASSWORD }

  const at = authority.lastIndexOf('@')
  const login = parseLogin(at === -1 ? undefined : authority.slice(0, at))
  if (login === undefined) return { problem: ENCODE_PASSWORD }

  const [, ipv6, name, digits] = SERVER.exec(authority.slice(at + 1)) ?? []
  const host = ipv6 ?? name
  if (host === undefined || (ipv6 !== undefined && isIP(ipv6) !== 6)) {
    return { problem: 'it needs a host: a name, an IPv4 address or an [IPv6] address, then optionally :port' }
  }
  const port = digits === undefined ? DEFAULT_PORT : Number(digits)
  if (port < 1 || port > 65535) return { problem: 'the port must be a number from 1 to 65535' }

  if (/[?#]/.test(tail)) {
    return { problem: 'query parameters (?…) and fragments (#…) are not supported' }
  }
  const database = DATABASE.exec(tail)
  if (database === null) return { problem: 'only a database number may follow the host, such as /0 or /3' }
  return { host, port, tls: scheme === 'rediss://', ...login, database: Number(database[1] ?? 0) }
}

/** @returns `undefined` for characters that must be percent-encoded */
function parseLogin(text: string | undefined): Pick<RedisServer, 'username' | 'password'> | undefined {
  if (text === undefined) return { username: undefined, password: undefined }
  if (!USER_INFO.test(text)) return undefined
  const colon = text.indexOf(':')
  const [username, password] = colon === -1 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
  try {
    return { username: decodeURIComponent(username), password: decodeURIComponent(password) }
  } catch {
    return undefined // %FF and the like: not UTF-8
  }
}
