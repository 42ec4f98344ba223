// Tested by test/settings/config.test.ts
import { isIP } from 'node:net'
import { parseRedisUrl, REDIS_URL_FORM } from './redis-url.ts'
import { strayCharacters } from './secrets/stray-characters.ts'

/**
 * How one setting is read: `parse` returns the value of a text, or `undefined` for a text that is not allowed;
 * `allowed` says in words what is. A refused text is shown to the operator unless the setting is a secret.
 */
export interface Parser<T> {
  readonly allowed: string
  readonly parse: (text: string) => T | undefined
  /** Why a text is refused, in words that do not repeat it. Without it, the message has `allowed` only. */
  readonly problem?: (text: string) => string | undefined
}

/** Kubernetes describes each Service to the pods of its namespace in variables such as `METRICS_PORT`. */
const SERVICE_LINK = /^(?:tcp|udp|sctp):\/\/[^/\s]+:\d+$/

/** Why a text is refused, and what to give instead. */
export function refusalOf({ allowed, problem }: Parser<unknown>, text: string): string {
  if (SERVICE_LINK.test(text)) {
    return `give ${allowed}. Kubernetes sets this variable for a Service of that name: put "enableServiceLinks: false" into the pod's spec, or rename the Service`
  }
  const what = problem?.(text)
  return `${what === undefined ? '' : `${what}; `}give ${allowed}`
}

export function integer(min: number, max: number, unit = ''): Parser<number> {
  return {
    allowed: `a whole number${unit && ` of ${unit}`} from ${min} to ${max}`,
    parse: text => {
      if (!/^\d{1,15}$/.test(text)) return undefined
      const value = Number(text)
      return value >= min && value <= max ? value : undefined
    }
  }
}

export function oneOf<const T extends string>(...values: readonly T[]): Parser<T> {
  return {
    allowed: `one of ${values.join(', ')}`,
    parse: text => values.find(value => value === text)
  }
}

export function text(allowed: string, pattern = /^.+$/s): Parser<string> {
  return { allowed, parse: value => (pattern.test(value) ? value : undefined) }
}

/** A comma-separated list without empty items. Blanks around an item are ignored. */
export function listOf<T>(item: Parser<T>): Parser<readonly T[]> {
  return {
    allowed: `a comma-separated list, each ${item.allowed}`,
    parse: value => {
      const items = value.split(',').map(part => item.parse(part.trim()))
      return items.every(parsed => parsed !== undefined) ? items : undefined
    },
    // In a list of dozens of addresses, a wrong digit is hard to see.
    problem: value => {
      const parts = value.split(',')
      const wrong = parts.findIndex(part => item.parse(part.trim()) === undefined)
      return parts.length === 1 || wrong === -1 ? undefined : `item ${wrong + 1} of ${parts.length} is wrong`
    }
  }
}

/** An IPv4 or IPv6 address, alone or with a prefix length. */
export const cidr: Parser<string> = {
  allowed: 'an IPv4 or IPv6 address or CIDR range',
  parse: value => {
    const [address = '', prefix, ...rest] = value.split('/')
    const family = isIP(address)
    if (family === 0 || rest.length > 0) return undefined
    if (prefix === undefined) return value
    if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 4 ? 32 : 128)) return undefined
    return value
  }
}

/** Trusting 0.0.0.0/0 would let any client spoof its address, and the HTTP library refuses such a range. */
export const proxies = listOf({
  allowed: `${cidr.allowed} narrower than /0`,
  parse: value => (/\/0+$/.test(value) ? undefined : cidr.parse(value))
})
export const anyOr = <T>(parser: Parser<T>): Parser<'*' | T> => ({
  ...parser,
  allowed: `* or ${parser.allowed}`,
  parse: value => (value === '*' ? '*' : parser.parse(value))
})

export interface HostPort {
  readonly host: string
  readonly port: number
}

/** `host:port`, the host a name, an IPv4 address, or an IPv6 address in brackets. */
export const hostPort: Parser<HostPort> = {
  allowed: 'a host:port',
  parse: value => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(value)
    const host = match?.[1] ?? match?.[2]
    const port = Number(match?.[3])
    return host === undefined || port < 1 || port > 65535 ? undefined : { host, port }
  }
}

export type Durability =
  | { readonly level: 'server' }
  | { readonly level: 'fsync' }
  | { readonly level: 'replicated'; readonly replicas: number }

export const durability: Parser<Durability> = {
  allowed: 'server, fsync, or replicated:<number of replicas from 1 to 9>',
  parse: value => {
    if (value === 'server' || value === 'fsync') return { level: value }
    const replicas = /^replicated:([1-9])$/.exec(value)?.[1]
    return replicas === undefined ? undefined : { level: 'replicated', replicas: Number(replicas) }
  }
}

/** See redis-url.ts. */
export const redisUrl: Parser<string> = {
  allowed: REDIS_URL_FORM,
  parse: value => ('problem' in parseRedisUrl(value) ? undefined : value),
  problem: value => {
    const parsed = parseRedisUrl(value)
    return 'problem' in parsed ? parsed.problem : undefined
  }
}

/** See stray-characters.ts. */
export const signingKeyText: Parser<string> = {
  allowed: 'the signing key alone, as Customer.io shows it',
  parse: value => (strayCharacters(value) === undefined ? value : undefined),
  problem: strayCharacters
}

/** A password or token that people or programs log in with: too long to be guessed at a limited rate. */
export const accessSecret: Parser<string> = {
  allowed: '12 to 256 characters without a line break',
  parse: value => (/^[^\r\n]{12,256}$/.test(value) ? value : undefined)
}

/** `http://` or `https://`, with a host. A slash at its end is removed. */
export const httpUrl: Parser<string> = {
  allowed: 'an http:// or https:// address',
  parse: value => {
    if (!URL.canParse(value)) return undefined
    return /^https?:$/.test(new URL(value).protocol) ? value.replace(/\/+$/, '') : undefined
  }
}

const TIME_WITHOUT_ZONE = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)$/i

/**
 * An ISO 8601 date or time, in unix milliseconds. Without a zone it is UTC, as each time that the service prints; Date
 * would take it in the zone of the process.
 */
export function parseIsoTime(text: string): number | undefined {
  const atMs = /^\d{4}-\d{2}-\d{2}/.test(text)
    ? Date.parse(text.replace(TIME_WITHOUT_ZONE, '$1T$2Z'))
    : Number.NaN
  return Number.isNaN(atMs) ? undefined : atMs
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** A length of time such as `30s`, `15m`, `24h` or `7d`, in seconds. */
export const duration: Parser<number> = {
  allowed: 'a number with its unit, such as 30s, 15m, 24h or 7d',
  parse: value => {
    const [, digits, unit = ''] = /^(\d{1,6})([smhd])$/.exec(value) ?? []
    return digits === undefined ? undefined : Number(digits) * (UNIT_SECONDS[unit] ?? 1)
  }
}
