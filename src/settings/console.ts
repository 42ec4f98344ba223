import { isLoopbackHost } from '../address.ts'
import { ConfigError } from '../errors.ts'
import type { Secret } from '../secret.ts'
import type { Reader } from './read-variables.ts'

/** Who may use the console, and how the person is known. */
export type ConsoleAccess =
  | { readonly kind: 'password'; readonly operator: Secret | undefined; readonly viewer: Secret | undefined }
  /** `header` is in lower case. Identities are compared without case. */
  | { readonly kind: 'proxy'; readonly header: string; readonly operators: readonly string[] }
  /** Development on loopback: everybody on this machine is an operator. */
  | { readonly kind: 'open' }

export interface ConsoleSettings {
  readonly port: number
  /** False for the port of development, which may be in use: another one is taken then. */
  readonly isPortChosen: boolean
  readonly host: string
  readonly url: URL | undefined
  readonly access: ConsoleAccess
  readonly apiToken: Secret | undefined
}

const DEVELOPMENT_PORT = 3100

/**
 * @returns `undefined` if the console is off
 * @throws ConfigError if it is on, and anybody who reaches its port could use it
 */
export async function readConsole(reader: Reader): Promise<ConsoleSettings | undefined> {
  const isDevelopment = reader.value('NODE_ENV') === 'development'
  const chosen = reader.value('CONSOLE_PORT')
  const port = chosen ?? (isDevelopment ? DEVELOPMENT_PORT : undefined)
  if (port === undefined) return undefined
  const url = reader.value('CONSOLE_URL')
  return {
    port,
    isPortChosen: chosen !== undefined,
    host: reader.value('CONSOLE_HOST'),
    url: url === undefined ? undefined : new URL(url),
    access: await readAccess(reader),
    apiToken: await reader.secret('CONSOLE_API_TOKEN')
  }
}

async function readAccess(reader: Reader): Promise<ConsoleAccess> {
  const operator = await reader.secret('CONSOLE_PASSWORD')
  const viewer = await reader.secret('CONSOLE_VIEWER_PASSWORD')
  const header = reader.value('CONSOLE_IDENTITY_HEADER')?.toLowerCase()
  const hasPassword = operator !== undefined || viewer !== undefined
  if (header !== undefined) {
    if (hasPassword) {
      throw new ConfigError(
        'CONSOLE_IDENTITY_HEADER and a password of the console are both set: unset one of them'
      )
    }
    if (reader.value('TRUSTED_PROXIES') === undefined) {
      throw new ConfigError(
        'CONSOLE_IDENTITY_HEADER is not allowed without TRUSTED_PROXIES: anybody could send this header; set TRUSTED_PROXIES to the address of the proxy that logs people in'
      )
    }
    const operators = (reader.value('CONSOLE_OPERATORS') ?? []).map(identity => identity.toLowerCase())
    return { kind: 'proxy', header, operators }
  }
  if (hasPassword) {
    if (operator !== undefined && viewer?.equals(operator) === true) {
      throw new ConfigError('CONSOLE_PASSWORD and CONSOLE_VIEWER_PASSWORD are the same: give two passwords')
    }
    return { kind: 'password', operator, viewer }
  }
  const isOpen =
    reader.value('NODE_ENV') !== 'production' && isLoopbackHost(inUrl(reader.value('CONSOLE_HOST')))
  if (isOpen) return { kind: 'open' }
  throw new ConfigError(
    'the console is on (CONSOLE_PORT) without access control: set CONSOLE_PASSWORD or CONSOLE_PASSWORD_FILE (at least 12 characters), or CONSOLE_IDENTITY_HEADER and TRUSTED_PROXIES for a proxy that logs people in, or unset CONSOLE_PORT'
  )
}

/** As `isLoopbackHost` takes it: an IPv6 address in brackets. */
const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host)
