import { createHmac } from 'node:crypto'

export const KEY = 'a-key-for-tests'

/** The default source. */
export const WEBHOOK_PATH = '/api/cio/webhook'

export type Headers = Record<string, string>

/** The headers Customer.io sends: `v0`, HMAC-SHA256 over timestamp and body. */
export function signV0(body: string | Buffer, key = KEY, timestamp: string | number = unixNow()): Headers {
  const mac = createHmac('sha256', key).update(`v0:${timestamp}:`).update(body).digest('hex')
  return { 'x-cio-timestamp': String(timestamp), 'x-cio-signature': mac }
}

/** The `body` scheme: HMAC-SHA256 over the body alone. */
export function signBody(body: string | Buffer, key = KEY): Headers {
  return { 'x-cio-signature': createHmac('sha256', key).update(body).digest('hex') }
}

/** The `cdp` scheme: HMAC-SHA1 over the body alone. */
export function signCdp(body: string | Buffer, key = KEY): Headers {
  return { 'x-signature': createHmac('sha1', key).update(body).digest('hex') }
}

export const unixNow = (): number => Math.floor(Date.now() / 1000)

let ids = 0
/** An event with an id of its own within this process. */
export const newBody = (): string =>
  JSON.stringify({ event_id: `id-${++ids}`, object_type: 'email', metric: 'sent' })
