import { DIGIT, LETTER } from './characters.ts'
import { maskEmails } from './email-text.ts'
import { maskNumbers } from './number-text.ts'
import type { TextKind } from './policy.ts'

const NUMBER_DIGITS = 9 // a social security number; telephone numbers of fewer digits have a plus
const NOTHING = 0
const MAYBE_EMAIL = 1
const MAYBE_NUMBER = 2

/**
 * The cheap test before the dear ones: nearly every string of an event holds neither an at sign or a plus in
 * any spelling nor nine digits without a letter between them.
 */
function suspicion(text: string): number {
  let suspect = NOTHING
  let digits = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (LETTER[code] === 1) digits = 0
    else if (DIGIT[code] === 1) {
      if (++digits === NUMBER_DIGITS) suspect |= MAYBE_NUMBER
    } else if (code === 0x40 || code === 0xff20 || code === 0xfe6b) suspect |= MAYBE_EMAIL
    else if (code === 0x2b || code === 0xff0b) suspect |= MAYBE_NUMBER
    else if (code === 0x25 || code === 0x5c || code === 0x26) return MAYBE_EMAIL | MAYBE_NUMBER // % \ &
    if (suspect === (MAYBE_EMAIL | MAYBE_NUMBER)) break
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
  const masked = maskAddresses(text).trim()
  return (masked === '[EMAIL]' || masked === '[PHONE]') && text.trim() !== masked
}
