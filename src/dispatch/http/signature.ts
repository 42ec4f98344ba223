import { createHmac, createSecretKey, hash, randomBytes } from 'node:crypto'
import type { HttpSettings } from '../../settings/http-consumer.ts'

/** Names and values in turn: the form that undici takes without converting it. */
export type RawHeaders = readonly string[]

/** Random span ids are taken from here: a call of the random generator costs more than the rest of the header. */
const POOL_BYTES = 4096
const SPAN_BYTES = 8

/**
 * Returns a function that makes the headers of a request, signed with Standard Webhooks (specification 1.0) under every
 * secret: HMAC-SHA256 of `<id>.<unix seconds>.<body>`, base64, behind `v1,`.
 */
export function requestSigner(secrets: HttpSettings['secrets']) {
  const keys = secrets.map(secret => {
    const base64 = secret.reveal().slice('whsec_'.length)
    return createSecretKey(Buffer.from(base64, 'base64'))
  })
  let second = { atS: -1, text: '' }

  return (id: string, body: Buffer, sentAtMs: number): RawHeaders => {
    const atS = Math.floor(sentAtMs / 1000)
    if (second.atS !== atS) second = { atS, text: String(atS) }
    const signed = `${id}.${second.text}.`
    let signatures = ''
    for (const key of keys) {
      const signature = createHmac('sha256', key).update(signed).update(body).digest('base64')
      signatures += signatures === '' ? `v1,${signature}` : ` v1,${signature}`
    }
    return [
      'content-type',
      'application/cloudevents+json; charset=utf-8',
      'user-agent',
      'cio-webhook',
      'webhook-id',
      id,
      'webhook-timestamp',
      second.text,
      'webhook-signature',
      signatures
    ]
  }
}

/**
 * Returns a function that makes the header `traceparent` (W3C trace context): one trace per event, one span per attempt.
 * The last field is 00 because the trace is not recorded.
 */
export function traceparents(): (eventId: string) => string {
  let pool = ''
  let next = 0
  return eventId => {
    if (next >= pool.length) {
      pool = randomBytes(POOL_BYTES).toString('hex')
      next = 0
    }
    const spanId = pool.slice(next, next + 2 * SPAN_BYTES)
    next += 2 * SPAN_BYTES
    return `00-${hash('sha256', eventId).slice(0, 32)}-${spanId}-00`
  }
}
