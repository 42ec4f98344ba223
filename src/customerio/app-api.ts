import type { APIClient } from 'customerio-node'
import { rejectOnAbort } from '../async/abort.ts'
import { backoffMs, pause } from '../async/backoff.ts'
import { errorCode, ReportedError } from '../errors.ts'
import { parseRetryAfter } from '../retry-after.ts'
import type { Secret } from '../secret.ts'
import { type CustomerIoAccount, loadClients } from './api-client.ts'

type AppApiFailure =
  /** 401 or 403: the key is wrong, or may not do this. */
  | 'refused'
  | 'not_found'
  /** Another 4xx: Customer.io understood the request and declined it. */
  | 'declined'
  | 'rate_limited'
  /** 5xx, no answer in time, or no connection. The request may have been executed. */
  | 'unavailable'
  /** An answer of another form than documented, such as the error page of a proxy. It may have been executed. */
  | 'malformed'

/** A request to the App API failed. The message has the host, the cause and the next step, and never the key. */
export class AppApiError extends ReportedError {
  override readonly name = 'AppApiError'
  readonly kind: AppApiFailure
  /** What the header `retry-after` asked for. */
  readonly retryAfterMs: number | undefined

  constructor(kind: AppApiFailure, message: string, retryAfterMs?: number) {
    super(message)
    this.kind = kind
    this.retryAfterMs = retryAfterMs
  }
}

/** An answer with the status 200 that cannot be used. @param problem contains nothing of the answer */
export const unexpectedAnswer = ({ host }: Pick<AppApi, 'host'>, problem: string): AppApiError =>
  new AppApiError(
    'malformed',
    `Customer.io's App API (${host}) sent an answer of another form than documented: ${problem}; update cio-webhook, or check CIO_APP_URL`
  )

type Answer = Readonly<Record<string, unknown>>

interface CallOptions {
  /** How often the request is sent if the outcome is unknown. Give 1 if a repetition could act twice. */
  readonly attempts?: number
  /** Ends the call, which then rejects. */
  readonly signal?: AbortSignal
}

/** Customer.io's App API. Requests of one client begin at least half a second apart. */
export interface AppApi {
  /** `api.customer.io`, or the host of `CIO_APP_URL`. */
  readonly host: string
  /**
   * Sends one request. Repeats it after 429, when the server asks for it, and after failures with an unknown outcome.
   *
   * @throws AppApiError
   */
  call(request: (client: APIClient) => Promise<Answer>, options?: CallOptions): Promise<Answer>
}

interface AppApiOptions {
  readonly account: Pick<CustomerIoAccount, 'region' | 'appUrl'>
  /** Called for each request: the key may be rotated while the service runs. */
  readonly readKey: () => Promise<Secret>
  /** Between the beginnings of two requests. Customer.io permits 10 per second for the whole workspace. */
  readonly intervalMs?: number
}

const INTERVAL_MS = 500
const TIMEOUT_MS = 10_000
const ATTEMPTS = 4
/** Four waits for 429 are at most four minutes. */
const BACKOFF = { firstMs: 1000, maxMs: 60_000 }
const MAX_DETAIL_LENGTH = 200
const hosts = { us: 'api.customer.io', eu: 'api-eu.customer.io' } as const

export function openAppApi({ account, readKey, intervalMs = INTERVAL_MS }: AppApiOptions): AppApi {
  const { region, appUrl } = account
  const host = appUrl === undefined ? hosts[region] : new URL(appUrl).host
  let nextAtMs = 0

  return {
    host,
    async call(request, { attempts = ATTEMPTS, signal = new AbortController().signal } = {}) {
      for (let failures = 1; ; failures++) {
        try {
          return await send(request, signal)
        } catch (error) {
          if (!(error instanceof AppApiError) || signal.aborted) throw error
          const { kind, retryAfterMs } = error
          const isUnknown = kind === 'unavailable' || kind === 'malformed'
          const allowed = kind === 'rate_limited' ? ATTEMPTS : isUnknown ? attempts : 1
          // A longer wait than ours is for the caller to decide: an earlier request would be refused again.
          if (failures >= allowed || (retryAfterMs ?? 0) > BACKOFF.maxMs) throw error
          await pause(backoffMs(BACKOFF, failures, { retryAfterMs }), signal)
        }
      }
    }
  }

  async function send(request: (client: APIClient) => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
    const key = await readKey()
    // Before its turn: loading takes a while on the first request, and the second one would follow too soon.
    const { APIClient, options } = await loadClients(region, appUrl, TIMEOUT_MS)
    await turn(signal)
    signal.throwIfAborted()
    try {
      return await rejectOnAbort(signal, request(new APIClient(key.reveal(), options)))
    } catch (error) {
      throw signal.aborted ? error : failureOf(error, key)
    }
  }

  async function turn(signal: AbortSignal): Promise<void> {
    const now = performance.now()
    const atMs = Math.max(now, nextAtMs)
    nextAtMs = atMs + intervalMs
    if (atMs > now) await pause(Math.ceil(atMs - now), signal)
  }

  function failureOf(error: unknown, key: Secret): AppApiError {
    const api = `Customer.io's App API (${host})`
    if (!(error instanceof Error)) return new AppApiError('unavailable', `${api} failed`)
    const { status, retryAfterMs, body } = responseOf(error)
    if (status === undefined) {
      const cause = errorCode(error.cause) ?? errorCode(error)
      if (error.name === 'TimeoutError') {
        return new AppApiError(
          'unavailable',
          `${api} did not answer within ${TIMEOUT_MS / 1000} s: try again`
        )
      }
      if (cause !== undefined || error instanceof TypeError) {
        const reason = cause ?? 'no connection'
        return new AppApiError(
          'unavailable',
          `cannot reach ${api}: ${reason}; check outgoing connections and CIO_APP_URL`
        )
      }
      // The library puts the answer into its message: it is not repeated.
      return new AppApiError(
        'malformed',
        `${api} sent an answer that is not JSON: is there a proxy in between? Check CIO_APP_URL`
      )
    }
    if (status === 401 || status === 403) {
      const other = region === 'us' ? 'eu' : 'us'
      return new AppApiError(
        'refused',
        `${api} refused CIO_APP_API_KEY (status ${status}): it is revoked, is not an App API key, may not do this or not from this address, or belongs to the other region (CIO_REGION is ${region}; is it ${other}?)`
      )
    }
    if (status === 429) {
      return new AppApiError(
        'rate_limited',
        `${api} is rate-limited (status 429): other programs use up the 10 requests per second of the workspace; try again later`,
        retryAfterMs
      )
    }
    if (status >= 500) {
      return new AppApiError(
        'unavailable',
        `${api} failed with status ${status}: try again later`,
        retryAfterMs
      )
    }
    const kind = status === 404 ? 'not_found' : 'declined'
    const detail = body.replaceAll(key.reveal(), '[secret]').slice(0, MAX_DETAIL_LENGTH)
    return new AppApiError(kind, `${api} declined the request with status ${status}: ${detail}`)
  }
}

/** Reads a `CustomerIORequestError` by its fields: the class belongs to a library that is loaded later. */
function responseOf(error: Error) {
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined
  const response: object = 'response' in error && error.response instanceof Object ? error.response : {}
  const headers: object = 'headers' in response && response.headers instanceof Object ? response.headers : {}
  const retryAfter = 'retry-after' in headers ? headers['retry-after'] : undefined
  return {
    status,
    retryAfterMs: parseRetryAfter(retryAfter, Date.now()),
    body: 'body' in error && typeof error.body === 'string' ? error.body : ''
  }
}
