import { hash } from 'node:crypto'
import type { Secret } from '../secret.ts'

type Algorithm = 'sha256' | 'sha1'

/** The key, filled up to a block with zeros, combined with each of the two constants of RFC 2104. */
interface Pads {
  readonly inner: Buffer
  readonly outer: Buffer
}

/** Of both algorithms (FIPS 180-4). */
const BLOCK_BYTES = 64
const INNER = 0x36
const OUTER = 0x5c

const pads = { sha256: new WeakMap<Secret, Pads>(), sha1: new WeakMap<Secret, Pads>() }

/**
 * HMAC (RFC 2104): `hash(outer pad + hash(inner pad + head + body))`. The result is that of `createHmac`, which makes an
 * object outside of V8's heap and prepares the key for each MAC: see docs/decisions/hmac.md.
 *
 * @param secret the key, as text
 * @returns hex
 */
export function hmac(algorithm: Algorithm, secret: Secret, head: string, body: Buffer): string {
  const { inner, outer } = padsOf(algorithm, secret)
  const bodyAt = BLOCK_BYTES + Buffer.byteLength(head)
  const message = Buffer.allocUnsafe(bodyAt + body.length)
  inner.copy(message)
  message.write(head, BLOCK_BYTES)
  body.copy(message, bodyAt)
  // As text: a digest as a buffer lies outside of V8's heap, too.
  const digest = hash(algorithm, message)
  return hash(algorithm, Buffer.concat([outer, Buffer.from(digest, 'hex')]))
}

function padsOf(algorithm: Algorithm, secret: Secret): Pads {
  const known = pads[algorithm].get(secret)
  if (known !== undefined) return known
  const text = Buffer.from(secret.reveal())
  const key = text.length > BLOCK_BYTES ? hash(algorithm, text, 'buffer') : text
  const pad = (constant: number): Buffer =>
    Buffer.from(Array.from({ length: BLOCK_BYTES }, (_, index) => (key[index] ?? 0) ^ constant))
  const made = { inner: pad(INNER), outer: pad(OUTER) }
  pads[algorithm].set(secret, made)
  return made
}
