import { readFileSync } from 'node:fs'
import type { Agent } from 'undici'
import { rejectOnAbort } from '../../async/abort.ts'
import { errorCode, ReportedError } from '../../errors.ts'
import { valueAt } from '../../json-pointer.ts'

/** A secret store refused a request, or could not be reached. The message has the host and the cause, never a value. */
export class StoreError extends ReportedError {
  override readonly name = 'StoreError'
  /** The store was reached and the caller is known, but it may not read this secret. */
  readonly isDenied: boolean

  constructor(message: string, { isDenied = false, ...options }: ErrorOptions & { isDenied?: boolean } = {}) {
    super(message, options)
    this.isDenied = isDenied
  }
}

export interface StoreRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH'
  /** Below the base URL, with its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: object
}

export interface StoreReply {
  /** Of the store, for messages. */
  readonly host: string
  readonly status: number
  /** `undefined` if it is not JSON. */
  readonly body: unknown
}

/** A connection to the HTTP API of a secret store. */
export interface StoreConnection {
  /** @throws StoreError if there is no reply; any status is a reply */
  send(request: StoreRequest): Promise<StoreReply>
  close(): void
}

interface StoreAddress {
  /** `https://host:port`, with a path if the API is below one. */
  readonly url: string
  /** The variable that it is from. */
  readonly variable: string
  /** A file with CA certificates in PEM; without one, the CAs of Node. */
  readonly caFile?: string | undefined
}

const CONNECT_TIMEOUT_MS = 2000
const REPLY_TIMEOUT_MS = 5000
/** From the connection to the end of the reply: one that arrives byte by byte would never time out otherwise. */
const REQUEST_TIMEOUT_MS = CONNECT_TIMEOUT_MS + REPLY_TIMEOUT_MS
/** A library makes several requests: it looks for the machine's identity, and tries again. */
const LIBRARY_TIMEOUT_MS = 15_000
/** AWS, Google and Azure allow 64 KiB for a secret, Vault 1 MiB. */
const MAX_REPLY_BYTES = 2 * 1024 * 1024

/** Codes of Node (https://nodejs.org/api/errors.html, /api/tls.html) and of undici (lib/core/errors.js). */
const EXPLANATIONS: readonly (readonly [code: RegExp, explanation: string])[] = [
  [/^ECONNREFUSED$/, 'nothing listens at this address'],
  [/^(?:ECONNRESET|EPIPE|UND_ERR_SOCKET)$/, 'the connection was closed before the reply'],
  [/^ENOTFOUND$/, 'unknown host name'],
  [/^EAI_AGAIN$/, 'the DNS server does not answer'],
  [/^E(?:HOST|NET)UNREACH$/, 'no route to it'],
  [/^(?:ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/, 'no connection in time: is a firewall in between?'],
  [/^(?:UND_ERR_HEADERS_TIMEOUT|TimeoutError)$/, 'no reply in time'],
  [/^(?:ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|EPROTO)$/, 'it does not use TLS here'],
  [/^HPE_/, 'it does not answer with HTTP: does it use TLS?'],
  [/^CERT_HAS_EXPIRED$/, 'its certificate has expired'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'its certificate is for another host name'],
  [/SELF_SIGNED|UNABLE_TO/, 'its certificate is not trusted']
]

/** Nothing is followed or repeated: a redirect could send a credential elsewhere. */
export function connectStore({ url, variable, caFile }: StoreAddress): StoreConnection {
  let agent: Agent | undefined
  return {
    async send({ method, path, headers, body }) {
      // undici is loaded when the first secret is read.
      const { Agent, request } = await import('undici')
      agent ??= new Agent({
        connect: {
          timeout: CONNECT_TIMEOUT_MS,
          // Also with NODE_TLS_REJECT_UNAUTHORIZED=0, which somebody may have set for another connection.
          rejectUnauthorized: true,
          ...(caFile === undefined ? {} : { ca: readCa(caFile) })
        },
        headersTimeout: REPLY_TIMEOUT_MS,
        maxResponseSize: MAX_REPLY_BYTES
      })
      try {
        const reply = await request(`${url}${path}`, {
          dispatcher: agent,
          signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
          method,
          headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        return { host: new URL(url).host, status: reply.statusCode, body: parsed(await reply.body.text()) }
      } catch (error) {
        // Its cause has the request, with a credential.
        throw new StoreError(unreachable(url, variable, error))
      }
    },
    close: () => void agent?.destroy().catch(() => {})
  }
}

function readCa(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new StoreError(`VAULT_CACERT=${path}: the file can't be read (${errorCode(error)})`)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(url: string, variable: string, error: unknown): string {
  // With several addresses of a host, the error is a list of errors, and has the code of the first.
  const code = errorCode(error) ?? (error instanceof Error ? error.name : 'unknown error')
  const explanation = EXPLANATIONS.find(([pattern]) => pattern.test(code))?.[1]
  const trust = /SELF_SIGNED|UNABLE_TO/.test(code)
    ? `give its CA as ${variable === 'VAULT_ADDR' ? 'VAULT_CACERT' : 'NODE_EXTRA_CA_CERTS'}`
    : `check ${variable}`
  return `no reply from ${new URL(url).host}: ${code}${explanation === undefined ? '' : `, ${explanation}`}; ${trust}`
}

/**
 * Bounds what the library of a provider does, such as getting a token: not every library has timeouts of its own, and its
 * service may accept a connection and never answer.
 *
 * @throws an error with the code `ETIMEDOUT`
 */
export async function limitLibrary<T>(work: Promise<T>): Promise<T> {
  const limit = AbortSignal.timeout(LIBRARY_TIMEOUT_MS)
  try {
    return await rejectOnAbort(limit, work)
  } catch (error) {
    throw limit.aborted ? Object.assign(new Error('no reply in time'), { code: 'ETIMEDOUT' }) : error
  }
}

/** A value inside of a reply; `undefined` if it has no such path. */
export const at = (value: unknown, ...path: readonly string[]): unknown => valueAt(value, path)

/** The same for a text. An empty one counts as none. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path)
  return typeof found === 'string' && found !== '' ? found : undefined
}
