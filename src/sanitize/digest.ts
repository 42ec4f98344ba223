import { createHmac, createSecretKey, hash } from 'node:crypto'
import { addressOf } from './personal-text.ts'

export type Digest = {
  /** Of a value in a hashed field: addresses and phone numbers have one digest in all their spellings. */
  ofValue(text: string): string
  /** Of a plain e-mail address. */
  ofEmail(address: string): string
  /** Of every character: different texts have different digests. */
  ofExactText(text: string): string
}

const plainEmail = /^[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$/

/** What nearly every hashed value is. For all others, `addressOf` takes ten times as long to say what they are. */
export const isPlainEmail = (text: string): boolean => plainEmail.test(text)

/** Hex SHA-256, or HMAC-SHA256 under a key. */
export function compileDigest(key: string | undefined): Digest {
  const ofExactText = compileHash(key)
  return {
    ofExactText,
    ofEmail: address => ofExactText(address.toLowerCase()),
    ofValue: text => ofExactText(addressOf(text) ?? text.trim().toLowerCase())
  }
}

function compileHash(key: string | undefined): (text: string) => string {
  if (key === undefined) return text => hash('sha256', text, 'hex')
  const secretKey = createSecretKey(Buffer.from(key)) // half the time of a text that is prepared for each hash
  return text => createHmac('sha256', secretKey).update(text).digest('hex')
}
