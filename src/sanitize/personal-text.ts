import { DIGIT, LETTER } from './characters.ts'
import { maskEmails } from './email-text.ts'
import { maskNumbers } from './number-text.ts'
import type { TextKind } from './policy.ts'

const NOTHING = 0
const MAYBE_EMAIL = 1
const MAYBE_NUMBER = 2
const MAYBE_BOTH = MAYBE_EMAIL | MAYBE_NUMBER

/** A social security number has nine digits in three groups; telephone numbers of fewer have a plus. */
const GROUPED_DIGITS = 9
/** In one group: a number dialled with `00` has at least so many, a card number more. */
const UNGROUPED_DIGITS = 11

/**
 * The cheap test before the dear ones: what it finds nothing in, no mask would change. Nearly every string of an
 * event holds neither an at sign or a plus in any spelling, nor nine digits without a letter between them. Digits
 * that follow a letter directly are part of an id or a digest, unless more groups of them come.
 */
function suspicion(text: string): number {
  let suspect = NOTHING
  let digits = 0 // since the last letter
  let groups = 0
  let afterLetter = false // the group of digits we are in
  let inGroup = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (LETTER[code] === 1) {
      digits = groups = 0
      afterLetter = true
      inGroup = false
    } else if (DIGIT[code] === 1) {
      if (!inGroup) groups++
      inGroup = true
      digits++
      if (groups > 1 ? digits >= GROUPED_DIGITS : digits >= UNGROUPED_DIGITS && !afterLetter) {
        suspect |= MAYBE_NUMBER
        if (suspect === MAYBE_BOTH) return MAYBE_BOTH
      }
    } else {
      afterLetter = inGroup = false
      if (code === 0x40 || code === 0xff20 || code === 0xfe6b) suspect |= MAYBE_EMAIL
      else if (code === 0x2b || code === 0xff0b) suspect |= MAYBE_NUMBER
      else if (code === 0x25 || code === 0x5c || code === 0x26) return MAYBE_BOTH // % \ &
      if (suspect === MAYBE_BOTH) return MAYBE_BOTH
    }
  }
  return suspect
}

/**
 * A function that masks these kinds of personal text in a string, total and idempotent. First e-mail
 * addresses, since their local part may hold digits of any shape; no mask makes a new address out of what
 * stands beside it.
 */
export function textMask(kinds: Iterable<TextKind>): (text: string) => string {
  const wanted = new Set(kinds)
  const emails = wanted.has('email')
  const numbers = wanted.has('phone') || wanted.has('card') || wanted.has('ssn')
  if (!emails && !numbers) return text => text
  return text => {
    const suspect = suspicion(text)
    if (suspect === NOTHING) return text
    const masked = emails && (suspect & MAYBE_EMAIL) !== 0 ? maskEmails(text) : text
    return numbers && (suspect & MAYBE_NUMBER) !== 0 ? maskNumbers(masked, wanted) : masked
  }
}

const maskAddresses = textMask(['email', 'phone'])

/** The whole text, but for blanks around it, is one e-mail address or one international phone number. */
export function isAddress(text: string): boolean {
  const masked = maskAddresses(text)
  return masked !== text && (masked.trim() === '[EMAIL]' || masked.trim() === '[PHONE]')
}

/** The canonical form of a text that is one address, also `Name <address>`: lower case, or the digits of a number. */
export function addressOf(text: string): string | undefined {
  const trimmed = text.trim()
  const address = /<([^<>]+)>$/.exec(trimmed)?.[1]?.trim() ?? trimmed
  if (!isAddress(address)) return undefined
  return address.includes('@') ? address.toLowerCase() : address.replace(/\D+/g, '').replace(/^00/, '')
}
