import { createHmac } from 'node:crypto'

/** A header as it is written on the wire. Repeated names stay repeated. */
export type Header = readonly [name: string, value: string]

/** The schemes a sender of ours can sign by: see receive/signature.ts. */
export type SendingScheme = 'v0' | 'body'

/** Signs as Customer.io does (`v0`), or over the body alone. @param timestamp unix seconds, as text for oddities */
export function signatureHeaders(
  scheme: SendingScheme,
  key: string,
  body: Buffer,
  timestamp: number | string
): readonly Header[] {
  return scheme === 'v0'
    ? [
        ['x-cio-timestamp', String(timestamp)],
        ['x-cio-signature', macV0(key, body, timestamp)]
      ]
    : [['x-cio-signature', macBody(key, body)]]
}

/** Lower-case hex HMAC-SHA256 of `v0:<timestamp>:<body>`. */
export const macV0 = (key: string, body: Buffer, timestamp: number | string): string =>
  createHmac('sha256', key).update(`v0:${timestamp}:`).update(body).digest('hex')

/** Lower-case hex HMAC-SHA256 of the body alone. */
export const macBody = (key: string, body: Buffer): string =>
  createHmac('sha256', key).update(body).digest('hex')
