import { timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { SignatureFailure } from '../ops/outcomes.ts'
import type { Scheme, SigningKey, SourceSettings } from '../settings/sources.ts'
import { hmac } from './hmac.ts'

declare const verified: unique symbol

/** Bytes with a valid signature. Only `verifySignature` makes them, and only they can become an event. */
export type VerifiedBody = Buffer & { readonly [verified]: true }
type Verdict =
  | {
      readonly authentic: true
      readonly body: VerifiedBody
      readonly key: SigningKey['label']
      readonly keyId: string
    }
  | { readonly authentic: false; readonly reason: SignatureFailure }

/** How far the sender's clock may be ahead of ours. */
const FUTURE_TOLERANCE_SECONDS = 300

const V0_PREFIX = Buffer.from('v0:')

const schemes: Readonly<Record<Scheme, { readonly algorithm: 'sha256' | 'sha1'; readonly hex: RegExp }>> = {
  v0: { algorithm: 'sha256', hex: /^[0-9a-f]{64}$/i },
  body: { algorithm: 'sha256', hex: /^[0-9a-f]{64}$/i },
  cdp: { algorithm: 'sha1', hex: /^[0-9a-f]{40}$/i }
}

/**
 * Checks whether a delivery is signed by one of the source's keys, and fresh.
 *
 * `v0` is Customer.io's scheme: hex HMAC-SHA256 of `v0:<x-cio-timestamp>:<raw body>` in `x-cio-signature`, the
 * key as text (Customer.io's reporting webhook documentation and `verifyRequestSignature` of customerio-node
 * 5.2, read 2026-11-24). `body` is the same MAC over the raw body alone. `cdp` is the scheme of the Data Pipelines
 * webhook destination: hex HMAC-SHA1 of the raw body in `x-signature`.
 *
 * No input makes it throw. MACs are compared in constant time.
 *
 * @param headers as Node gives them: names in lower case, repeated ones joined by commas
 * @param body the bytes as received
 * @param nowSeconds Unix time
 * @param toleranceSeconds greatest age of a signed timestamp
 */
export function verifySignature(
  source: Pick<SourceSettings, 'keys' | 'schemes'>,
  headers: IncomingHttpHeaders,
  body: Buffer,
  nowSeconds: number,
  toleranceSeconds: number
): Verdict {
  const timestamp = headers['x-cio-timestamp']
  const scheme = schemeOf(source, headers)
  if (!source.schemes.includes(scheme)) return refused('scheme_not_allowed')

  const signature = headers[scheme === 'cdp' ? 'x-signature' : 'x-cio-signature']
  if (signature === undefined || signature === '') return refused('missing')
  if (typeof signature !== 'string' || !schemes[scheme].hex.test(signature)) return refused('malformed')

  if (scheme === 'v0') {
    const failure = freshness(timestamp, nowSeconds, toleranceSeconds)
    if (failure !== undefined) return refused(failure)
  } else if (body.subarray(0, V0_PREFIX.length).equals(V0_PREFIX)) {
    // A v0 signature covers `v0:<timestamp>:<body>`. Sent as a body, without the timestamp header, this text would
    // have a valid MAC and no age. It is not JSON, so no real delivery starts like this.
    return refused('scheme_confusion')
  }

  const claimedMac = Buffer.from(signature, 'hex')
  const signedHead = scheme === 'v0' ? `v0:${timestamp}:` : ''
  for (const key of source.keys) {
    const mac = hmac(schemes[scheme].algorithm, key.secret, signedHead, body)
    if (timingSafeEqual(Buffer.from(mac, 'hex'), claimedMac)) {
      return { authentic: true, body: body as VerifiedBody, key: key.label, keyId: key.id }
    }
  }
  return refused('mismatch')
}

/** A delivery with a timestamp is only tried as `v0`, one without only as one of the others. */
function schemeOf(source: Pick<SourceSettings, 'schemes'>, headers: IncomingHttpHeaders): Scheme {
  if (headers['x-cio-timestamp'] !== undefined) return 'v0'
  if (headers['x-cio-signature'] === undefined && source.schemes.includes('cdp')) return 'cdp'
  return 'body'
}

function freshness(
  timestamp: string | string[] | undefined,
  nowSeconds: number,
  toleranceSeconds: number
): SignatureFailure | undefined {
  if (typeof timestamp !== 'string' || !/^\d{1,15}$/.test(timestamp)) return 'timestamp_malformed'
  const age = nowSeconds - Number(timestamp)
  if (age > toleranceSeconds) return 'timestamp_stale'
  if (age < -FUTURE_TOLERANCE_SECONDS) return 'timestamp_future'
  return undefined
}

const refused = (reason: SignatureFailure): Verdict => ({ authentic: false, reason })
