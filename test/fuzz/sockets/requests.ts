import { createHash } from 'node:crypto'
import type { Random } from '../../helpers/random.ts'
import { postText } from '../../helpers/raw-http.ts'
import { KEY, signV0, unixNow, WEBHOOK_PATH } from '../../helpers/sign.ts'

/** In all hostile bytes and in personal fields of authentic deliveries. Must not be in any output. */
export const TOKEN = 'cnry5a4b3c2d'

/** An authentic delivery. */
export interface Claim {
  /** The id of its event in the log. */
  readonly id: string
  /** Was it sent completely and correctly? Then it must be in the log. */
  readonly sure: boolean
}

interface Request {
  readonly bytes: Buffer
  readonly claim: Claim | undefined
}

type HeaderValues = Record<string, string | readonly string[]>

/** A body that is an event or not JSON. */
function bodyOf(random: Random, id: string): Buffer {
  const event = JSON.stringify({
    event_id: id,
    object_type: 'email',
    metric: random.pick(['sent', 'opened', '\ud800', `${TOKEN}@example.com`]),
    timestamp: unixNow(),
    data: { customer_id: `${TOKEN}@example.com`, subject: TOKEN, note: `mail ${TOKEN}@example.com now` }
  })
  if (random.chance(0.8)) return Buffer.from(event)
  return random.pick<Buffer>([
    Buffer.concat([Buffer.from(event), Buffer.of(0xff, 0xfe, random.whole(0, 256))]),
    Buffer.from(`[${event}`),
    Buffer.from(`{"__proto__":{},"to":"${TOKEN}@example.com"}`),
    Buffer.from(`${'['.repeat(100)}${']'.repeat(100)}`),
    Buffer.from(`password=${TOKEN}&x=${random.word(8)}`)
  ])
}

/** The id of the event: `named`, or a digest if the body has no `event_id`. */
function idOf(body: Buffer, timestamp: string, named: string): string {
  try {
    const event: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
    if (typeof event === 'object' && event !== null && 'event_id' in event) return named
  } catch {}
  return createHash('sha256').update(`default\0${timestamp}\0`).update(body).digest('hex')
}

/** The parts of an authentic delivery, for attacks with their own framing. */
export function delivery(random: Random): {
  readonly body: Buffer
  readonly headers: HeaderValues
  readonly claim: Claim
} {
  // Only letters: digits could be a card number, and personal ids are replaced by a digest.
  const named = `fuzz-${random.word(20)}`
  const body = bodyOf(random, named)
  const headers = signV0(body)
  const id = idOf(body, headers['x-cio-timestamp'] ?? '', named)
  return { body, headers: { ...headers, 'user-agent': TOKEN }, claim: { id, sure: false } }
}

export function signed(random: Random): Request & { readonly claim: Claim } {
  const { body, headers, claim } = delivery(random)
  return { bytes: postText(body, headers), claim }
}

/** A delivery with an invalid signature of some kind. */
export function forged(random: Random): Request {
  const body = bodyOf(random, `forged-${random.word(8)}`)
  const right = signV0(body)
  const headers = random.pick<HeaderValues>([
    signV0(body, 'another key'),
    signV0(body, KEY, unixNow() - 900_000),
    signV0(body, KEY, unixNow() + 900),
    { ...right, 'x-cio-signature': `v0=${right['x-cio-signature']}` },
    { ...right, 'x-cio-signature': random.word(64) },
    { ...right, 'x-cio-timestamp': `${unixNow()} ${random.word(3)}` },
    { 'x-cio-signature': right['x-cio-signature'] ?? '' },
    { 'x-cio-timestamp': String(unixNow()) },
    { 'x-cio-signature': TOKEN, 'x-cio-timestamp': TOKEN },
    {}
  ])
  const path = random.chance(0.8)
    ? WEBHOOK_PATH
    : `${WEBHOOK_PATH}/${random.pick([TOKEN, 'default', 'x'.repeat(200), '%40'])}`
  return { bytes: postText(body, { ...headers, 'user-agent': TOKEN }, path), claim: undefined }
}
