import { createHmac, createSecretKey, hash } from 'node:crypto'
import { DIGIT, LETTER } from './char-class.ts'
import { addressOf } from './mask-text.ts'

export type Digest = {
  /** Of a plain e-mail address, as `ofValue`. */
  ofEmail(address: string): string
  /** Of a value in a hashed field: addresses and phone numbers have one digest in all their spellings. */
  ofValue(text: string): string
  /** Of every character: different texts have different digests. */
  ofExactText(text: string): string
}

const [PLUS, HYPHEN, DOT, UNDERSCORE] = [0x2b, 0x2d, 0x2e, 0x5f]

/**
 * ASCII letters, digits and `._+-`, an at sign, labels with dots between them: the form of nearly every hashed value. All
 * others need `addressOf`, which takes ten times as long.
 */
export function isPlainEmail(text: string): boolean {
  const at = text.indexOf('@')
  let labelStart = at + 1
  let dots = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (index === at || LETTER[code] === 1 || DIGIT[code] === 1 || code === HYPHEN) continue
    if (index < at ? code !== DOT && code !== PLUS && code !== UNDERSCORE : code !== DOT) return false
    if (index < at) continue
    if (index === labelStart) return false
    labelStart = index + 1
    dots++
  }
  return at > 0 && dots > 0 && labelStart < text.length
}

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
