import { createHmac, createSecretKey } from 'node:crypto'
import type { HttpSettings } from '../../settings/http-consumer.ts'

/** Names and values in turn: the form that undici takes without converting it. */
export type RawHeaders = string[]

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
