import { DIGIT } from './char-class.ts'
import { decode, plainReading, type Reading, readingsOf } from './decoded-text.ts'
import { isSeparator } from './digit-run.ts'
import { addSeparate, type Find, inSource, replaceFinds, unite } from './finds.ts'
import { findEmails } from './mask-emails.ts'
import { findNumbers } from './mask-numbers.ts'
import { MAX_PHONE_DIGITS, MIN_DIALLED_DIGITS, MIN_PHONE_DIGITS } from './phone-text.ts'
import { mayBePersonal } from './prefilter.ts'
import type { TextKind } from './text-kinds.ts'
import { findInUrls } from './url.ts'

/**
 * A function that masks these kinds of personal text in a string, total and idempotent. URLs come first, since their
 * user info looks like an e-mail address; then e-mail addresses, since their local part may hold digits of any shape.
 * No mask forms a new address together with the text beside it.
 */
export function textMask(kinds: Iterable<TextKind>): (text: string) => string {
  const wanted = new Set(kinds)
  return wanted.size === 0 ? text => text : text => (mayBePersonal(text) ? maskText(text, wanted) : text)
}

/** A mask may split text that a pass took as one unit: then the next pass finds more. */
const MAX_PASSES = 4

/** As {@link textMask}, without the cheap test before. */
export function maskText(text: string, kinds: ReadonlySet<TextKind>): string {
  let masked = text
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    const before = masked
    masked = maskOnce(masked, kinds)
    if (masked === before) break
  }
  return masked
}

function maskOnce(text: string, kinds: ReadonlySet<TextKind>): string {
  let masked = text
  let readings = readingsOf(masked)
  const mask = (finds: readonly Find[]) => {
    if (finds.length === 0) return
    masked = replaceFinds(masked, finds)
    readings = readingsOf(masked)
  }
  if (kinds.has('url')) mask(findIn(readings, unite, findInUrls))
  if (kinds.has('email')) mask(findIn(readings, addSeparate, findEmails))
  if (kinds.has('phone') || kinds.has('card') || kinds.has('ssn')) mask(numbersIn(masked, readings, kinds))
  return masked
}

function findIn(
  readings: readonly Reading[],
  join: (finds: readonly Find[], others: readonly Find[]) => readonly Find[],
  find: (reading: Reading) => readonly Find[]
): readonly Find[] {
  let finds: readonly Find[] = []
  for (const reading of readings) finds = join(finds, inSource(reading, find(reading)))
  return finds
}

/** Finds of any reading, also of the text as it stands: `20%4111…` may be a percent sign before a card. */
function numbersIn(
  text: string,
  readings: readonly Reading[],
  kinds: ReadonlySet<TextKind>
): readonly Find[] {
  const finds = findIn(readings, unite, reading => findNumbers(reading, kinds))
  const literal = decode(text, 'none')
  if (readings.some(reading => reading.text === literal.text)) return finds
  return addSeparate(finds, inSource(literal, findNumbers(literal, kinds)))
}

const phoneOnly: ReadonlySet<'phone'> = new Set(['phone'])
const plus = /^[+\uff0b]/
/** The scheme before an address in a link. Not any word with a colon: `user:ada@example.com` is another id. */
const scheme = /^(?:mailto|tel|sms|smsto|whatsapp|callto|sip|xmpp):(?!\/)/i
/** The zero that is dialled inside the country only: `+44 (0)20 7946 0958`. */
const trunkZero = /\(\s*0\s*\)/

/**
 * The whole text, but for blanks around it, is one e-mail address or one telephone number with a plus. (With `00`, it
 * may as well be an id with leading zeros.)
 */
export function isAddress(text: string): boolean {
  if (!mayBePersonal(text)) return false
  return readingsOf(text).some(
    reading =>
      isWhole(reading, findEmails(reading)) ||
      (plus.test(reading.text.trimStart()) && isWhole(reading, findNumbers(reading, phoneOnly)))
  )
}

/** The one find is all of the text, but for blanks around it. */
function isWhole({ text }: Reading, finds: readonly Find[]): boolean {
  const from = text.length - text.trimStart().length
  return finds.length === 1 && finds[0]?.from === from && finds[0].to === text.trimEnd().length
}

/**
 * The address by which a person is hashed, in one form for all spellings: an e-mail address in lower case, or
 * the digits of a telephone number without the prefix `+` or `00`; also from `Name <address>` and `tel:…`. National
 * numbers count too, since this is for fields that hold an address. `undefined`: the text is not one address.
 */
export function addressOf(text: string): string | undefined {
  if (plainNumber.test(text)) return digitsOfPhone(text)
  for (const reading of readingsOf(text)) {
    if (isWhole(reading, findEmails(reading))) return canonicalEmail(reading.text)
    const address = bare(reading.text)
    if (address.includes('@')) {
      const inner = plainReading(address)
      if (isWhole(inner, findEmails(inner))) return canonicalEmail(address)
    } else {
      const digits = digitsOfPhone(address)
      if (digits !== undefined) return digits
    }
  }
  return undefined
}

/** Nothing to decode. The rest of `addressOf` gives the same result, many times slower. */
const plainNumber = /^\+?\d+$/
const canonicalEmail = (address: string): string => address.trim().replaceAll('\uff0b', '+').toLowerCase()

/** Without a name before it, brackets around it, or a scheme. */
function bare(text: string): string {
  const trimmed = text.trim()
  const bracket = trimmed.endsWith('>') ? trimmed.lastIndexOf('<') : -1
  const address = bracket === -1 ? trimmed : trimmed.slice(bracket + 1, -1).trim()
  return address.replace(scheme, '').trim()
}

function digitsOfPhone(number: string): string | undefined {
  const hasPlus = plus.test(number)
  const written = hasPlus ? number.slice(1) : number
  for (let index = 0; index < written.length; index++) {
    const code = written.charCodeAt(index)
    // A plus may stand for a space, as in a form.
    if (DIGIT[code] !== 1 && !isSeparator(code) && !(hasPlus && code === 0x2b)) return undefined
  }
  const all = written.replace(/\D/g, '')
  const isDialled = !hasPlus && all.startsWith('00') && all.length >= MIN_DIALLED_DIGITS
  const isInternational = hasPlus || isDialled
  const counted = isInternational ? written.replace(trunkZero, '').replace(/\D/g, '') : all
  const digits = isDialled ? counted.slice(2) : counted
  return digits.length >= MIN_PHONE_DIGITS && digits.length <= MAX_PHONE_DIGITS ? digits : undefined
}
