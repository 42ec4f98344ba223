import type { Digest } from './digest.ts'
import { addressOf, textMask } from './personal-text.ts'

/** An address needs an `@` or a `+`, as they are or in one of the encodings that begin with these. */
const maybeAddress = /[@+%&\\=\uff20\uff0b\ufe6b\ufe62]/
const maskAddresses = textMask(['email', 'phone'])

/**
 * An id as it may be shown. Ids must stay distinct, so they never become a mask word: one that is an address is
 * replaced by the hash of the address, one that contains an address by the hash of all of it, and any other stays
 * exactly as it is, also one that looks like a card number or a number dialled with `00`.
 */
export function shownId(id: string, digest: Digest): string {
  if (!maybeAddress.test(id) || maskAddresses(id) === id) return id
  return addressOf(id) === undefined ? digest.ofExactText(id) : digest.ofValue(id)
}
