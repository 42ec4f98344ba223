// Tested by test/sanitize/kinds.test.ts
import { DIGIT, LETTER } from './char-class.ts'
import { type Digest, isPlainEmail } from './digest.ts'
import { addressOf, isAddress, textMask } from './mask-text.ts'

/** An address needs an `@` or a `+`, as they are or in one of the encodings that begin with these. */
const signs = new Set([...'@+%&\\='].map(sign => sign.charCodeAt(0)))
/** `Ada <ada@example.com>` */
const withName = /^[^<>]*<[^<>]+>\s*$/
/** The form of nearly every number: always masked, and hashed by its digits. Shorter ones may be offsets of time zones. */
const plainPhone = /^\+([1-9]\d{8,14})$/
const maskAddresses = textMask(['email', 'phone'])

/**
 * An id as it may be shown. Ids must stay distinct, so they never become a mask word: one that is an address is
 * replaced by the hash of the address, one that contains an address by the hash of all of it, and any other stays
 * exactly as it is, also one that looks like a card number or a number dialled with `00`.
 */
export function maskId(id: string, digest: Digest): string {
  if (!mayHoldAddress(id)) return id
  const phone = plainPhone.exec(id)?.[1]
  if (phone !== undefined) return digest.ofExactText(phone)
  if (isPlainEmail(id) && isAddress(id)) return digest.ofEmail(id)
  if (maskAddresses(id) === id) return id
  // Not `user:ada@example.com`, which is another id than `ada@example.com`.
  const isOneAddress = isAddress(id) || (withName.test(id) && addressOf(id) !== undefined)
  return isOneAddress ? digest.ofValue(id) : digest.ofExactText(id)
}

/** A loop over the codes of an id takes a fifth of a regular expression's time. */
export function mayHoldAddress(id: string): boolean {
  for (let index = 0; index < id.length; index++) {
    const code = id.charCodeAt(index)
    if (LETTER[code] !== 1 && DIGIT[code] !== 1 && (code >= 0x80 || signs.has(code))) return true
  }
  return false
}
