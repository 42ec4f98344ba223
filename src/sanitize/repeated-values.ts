import { isPlainText, plainReading, readingsOf } from './decoded-text.ts'
import type { HashedValues } from './hashed-values.ts'
import { addressOf } from './mask-text.ts'
import { PhoneSearch } from './phone-search.ts'
import { REDACTED } from './redacted.ts'
import { type Match, type Pieces, readPieces, WordSearch } from './word-search.ts'

/** Masks hashed values that an event repeats in other fields: error texts contain the address they are about. */
export type RepeatedValues = {
  /** Includes the policy's text masks. */
  mask(text: string, isErrorText: boolean): string
  /** What replaces a number with these digits, if it is one of the values. */
  maskNumber(digits: string): string | undefined
  /** A quick test: if false, it masks nothing in these. */
  mayChange(walked: Walked): boolean
}

/** What a walk met: where hashed values can be. */
type Walked = {
  readonly texts: readonly string[]
  /** With the text masks applied. */
  readonly errorTexts: readonly string[]
  readonly numbers: readonly string[]
}

type Options = {
  readonly maskText: (text: string) => string
  /** The text masks find every e-mail address anyway. */
  readonly masksEmail: boolean
}

/** Shorter values are too often something else. */
const MIN_LENGTH = 6
/** Longer than any address or token. Whole texts are not repeated, and a search for them takes time. */
const MAX_LENGTH = 4096
/** Too short for an address, but an SMS may be sent from it. */
const shortCode = /^\d{6}$/
const MIN_LOCAL_PART_LENGTH = 5

/**
 * `undefined` if no hashed value can be left in a string after the text masks.
 *
 * @param errorTexts with the text masks applied
 */
export function repeatedValues(
  { emails, others }: HashedValues,
  errorTexts: readonly string[],
  { maskText, masksEmail }: Options
): RepeatedValues | undefined {
  const soughtEmails = masksEmail && !mayQuote(errorTexts, emails) ? [] : emails
  const sought = others
    .map(value => value.trim())
    .filter(({ length }) => length >= MIN_LENGTH && length <= MAX_LENGTH)
  if (soughtEmails.length === 0 && sought.length === 0) return undefined

  const words = new WordSearch()
  const localParts = new WordSearch()
  const phones = new PhoneSearch()
  const addEmail = (address: string) => {
    if (!masksEmail) words.add(address, '[EMAIL]')
    for (const part of localPartsOf(address)) localParts.add(part, '[EMAIL]')
  }
  for (const address of soughtEmails) addEmail(address)
  for (const value of sought) {
    const address = addressOf(value) ?? shortCode.exec(value)?.[0]
    if (address === undefined) words.add(value, REDACTED)
    else if (/^\d+$/.test(address)) phones.add(address)
    else {
      addEmail(address)
      if (value.toLowerCase() !== address) words.add(value, '[EMAIL]')
    }
  }

  // Tokens first, before a mask splits them; local parts last, after whole addresses.
  const mask = (text: string, isErrorText: boolean): string => {
    const masked = maskText(replaceMatches(text, [words, phones]))
    if (!isErrorText) return masked
    const withoutLocalParts = replaceMatches(masked, [localParts])
    return withoutLocalParts === masked ? masked : maskText(withoutLocalParts)
  }
  const maskNumber = (digits: string): string | undefined => {
    if (digits.length < MIN_LENGTH) return undefined
    if (phones.has(Number(digits), digits.length)) return '[PHONE]'
    if (!words.mayFindIn(digits)) return undefined
    return words.find(readPieces(plainReading(digits))).length === 0 ? undefined : REDACTED
  }
  return {
    mask,
    maskNumber,
    mayChange: ({ texts, errorTexts, numbers }) =>
      texts.some(text => mayFind(text, [words, phones])) ||
      errorTexts.some(text => mayFind(text, [localParts])) ||
      numbers.some(digits => maskNumber(digits) !== undefined)
  }
}

/** More comparisons than this take longer than the search that they may save. */
const MAX_COMPARISONS = 16

/** Without case and word boundaries: a quick test that saves the search for nearly every event. */
function mayQuote(texts: readonly string[], addresses: readonly string[]): boolean {
  if (texts.length * addresses.length > MAX_COMPARISONS) return true
  return texts.some(text => {
    const lower = text.toLowerCase()
    return addresses.some(address => localPartsOf(address).some(part => lower.includes(part)))
  })
}

/** `ada.lovelace+news@example.com` → `ada.lovelace+news`, `ada.lovelace`, as far as they are long enough. */
function localPartsOf(address: string): string[] {
  const local = address.slice(0, address.lastIndexOf('@')).toLowerCase()
  const untagged = local.split('+', 1)[0] ?? local
  return [local, untagged].filter(part => part.length >= MIN_LOCAL_PART_LENGTH)
}

type Search = {
  readonly isEmpty: boolean
  mayFindIn(text: string): boolean
  find(pieces: Pieces): readonly Match[]
}

function mayFind(text: string, searches: readonly Search[]): boolean {
  if (isTooShort(text, searches)) return false
  if (isPlainText(text)) return searches.some(search => search.mayFindIn(text))
  return readingsOf(text).some(reading => searches.some(search => search.mayFindIn(reading.text)))
}

const isTooShort = (text: string, searches: readonly Search[]): boolean =>
  text.length < MIN_LOCAL_PART_LENGTH || searches.every(({ isEmpty }) => isEmpty)

function replaceMatches(text: string, searches: readonly Search[]): string {
  if (isTooShort(text, searches)) return text
  const found = readingsOf(text).flatMap(reading => {
    const promising = searches.filter(search => search.mayFindIn(reading.text))
    if (promising.length === 0) return []
    const pieces = readPieces(reading)
    return promising.flatMap(search => search.find(pieces))
  })
  if (found.length === 0) return text
  let result = ''
  let done = 0
  for (const { start, end, label } of found.sort((a, b) => a.start - b.start)) {
    if (start >= done) result += text.slice(done, start) + label
    done = Math.max(done, end)
  }
  return result + text.slice(done)
}
