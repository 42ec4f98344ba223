// Tested by test/settings/consumers-file.test.ts.
import { z } from 'zod'
import { address, count, notBoth, oneOfTwo, type SecretOf, shared, text } from './consumer-fields.ts'

export type HttpSettings = ReturnType<typeof httpSettings>

const SECOND_MS = 1000
const HOUR_MS = 3600 * SECOND_MS
const MEBIBYTE = 1024 * 1024

/** Standard Webhooks: 24 to 64 bytes, in base64, behind `whsec_` (specification 1.0, read 2026-11-24). */
const SECRET_BYTES = { min: 24, max: 64 }
export const SECRET_RULE = 'must be whsec_ and 24 to 64 bytes in base64'

const signingSecret = z.string().refine(isSigningSecret, SECRET_RULE)

export const httpSchema = z
  .strictObject({
    ...shared,
    type: z.literal('http'),
    url: address('http:', 'https:').describe('Where each event is posted to'),
    secret: signingSecret.optional().describe('Standard Webhooks secret, whsec_<base64>'),
    secretFile: text.optional(),
    secretPrevious: signingSecret.optional().describe('A secret that also signs, during a rotation'),
    secretPreviousFile: text.optional(),
    concurrency: count(1, 1000)
      .optional()
      .describe('Requests in flight at once, per replica; absent: adapted to the latency, at most 100'),
    order: z
      .enum(['relaxed', 'strict'])
      .default('relaxed')
      .describe(
        'strict: the later events of a customer wait until a failed one is delivered or a dead letter'
      ),
    http2: z.boolean().default(false).describe('Use HTTP/2 if the receiver offers it (https only)'),
    timeoutMs: count(100, 120_000)
      .default(10 * SECOND_MS)
      .describe('Time for a request and its answer'),
    maxAttempts: count(1, 100).default(12).describe('Attempts before an event becomes a dead letter'),
    retryDelayMs: count(10, 24 * HOUR_MS)
      .default(10 * SECOND_MS)
      .describe('Pause after the first failure; each further one is three times as long'),
    maxRetryDelayMs: count(10, 7 * 24 * HOUR_MS)
      .default(6 * HOUR_MS)
      .describe('Longest pause; also the longest retry-after that is honoured'),
    backlog: count(1, 100_000)
      .default(1000)
      .describe(
        'Failed events that wait for another attempt; while there are more, no events are taken from the log'
      ),
    backlogBytes: count(1024, 1024 * MEBIBYTE)
      .default(16 * MEBIBYTE)
      .describe('The same in bytes of events; a larger event waits alone')
  })
  .refine(oneOfTwo('secret', 'secretFile'), 'needs one of secret and secretFile')
  .refine(
    notBoth('secretPrevious', 'secretPreviousFile'),
    'takes one of secretPrevious and secretPreviousFile'
  )
  .refine(http => http.retryDelayMs <= http.maxRetryDelayMs, {
    path: ['retryDelayMs'],
    message: 'must not be longer than maxRetryDelayMs'
  })
  .refine(http => http.backlog >= (http.concurrency ?? 1), {
    path: ['backlog'],
    message: 'must not be smaller than concurrency'
  })

export function httpSettings(consumer: z.output<typeof httpSchema>, secretOf: SecretOf) {
  const { secret, secretFile, secretPrevious, secretPreviousFile, ...settings } = consumer
  const secrets = [
    secretOf(secret, 'secretFile', secretFile),
    secretOf(secretPrevious, 'secretPreviousFile', secretPreviousFile)
  ]
  return { ...settings, secrets: secrets.filter(value => value !== undefined) }
}

export function isSigningSecret(value: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(value)?.[1]
  if (base64 === undefined || base64.length % 4 !== 0) return false
  const bytes = Buffer.from(base64, 'base64').length
  return bytes >= SECRET_BYTES.min && bytes <= SECRET_BYTES.max
}
