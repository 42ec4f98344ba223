// Tested by test/tools/send/load.test.ts and test/cli/send/command.slow.test.ts.
import { createHmac } from 'node:crypto'
import type { Scheme } from '../../settings/sources.ts'

/** A header as written on the wire. */
export type Header = readonly [name: string, value: string]

export const SCHEMES = ['v0', 'body', 'cdp'] as const satisfies readonly Scheme[]

/**
 * Signs like reporting webhooks (`v0`), like Data Pipelines (`cdp`), or only the body (`body`).
 *
 * @param timestamp Unix seconds, as text for invalid ones; used by `v0` only
 */
export function signatureHeaders(
  scheme: Scheme,
  key: string,
  body: Buffer,
  timestamp: number | string
): readonly Header[] {
  switch (scheme) {
    case 'v0':
      return [
        ['x-cio-timestamp', String(timestamp)],
        ['x-cio-signature', macV0(key, body, timestamp)]
      ]
    case 'body':
      return [['x-cio-signature', macBody(key, body)]]
    case 'cdp':
      return [['x-signature', createHmac('sha1', key).update(body).digest('hex')]]
  }
}

/** Lower-case hex HMAC-SHA256 of `v0:<timestamp>:<body>`. */
export const macV0 = (key: string, body: Buffer, timestamp: number | string): string =>
  createHmac('sha256', key).update(`v0:${timestamp}:`).update(body).digest('hex')

/** Lower-case hex HMAC-SHA256 of the body alone. */
export const macBody = (key: string, body: Buffer): string =>
  createHmac('sha256', key).update(body).digest('hex')
