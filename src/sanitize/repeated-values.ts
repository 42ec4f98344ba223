import { plainReading, readingsOf } from './decoded-text.ts'
import type { HashedValues } from './hashed-values.ts'
import { addressOf } from './mask-text.ts'
import { PhoneSearch } from './phone-search.ts'
import { REDACTED } from './redacted.ts'
import { type Match, type Pieces, readPieces, WordSearch } from './word-search.ts'

/** Masks what an event says again in other fields: error texts repeat the address they are about. */
export type RepeatedValues = {
  /** Includes the policy's text masks. */
  mask(text: string, isErrorText: boolean): string
  /** What replaces a number with these digits, if it is one of the values. */
  maskNumber(digits: string): string | undefined
}

type Options = {
  readonly maskText: (text: string) => string
  /** The text masks take every e-mail address anyway. */
  readonly masksEmail: boolean
}

/** Shorter values stand for too many other things. */
const MIN_LENGTH = 6
/** Far beyond any address or token. Whole texts are not repeated, and a search for them takes time. */
const MAX_LENGTH = 4096
/** Too short for an address, but what an SMS may be sent from. */
const shortCode = /^\d{6}$/
const MIN_LOCAL_PART_LENGTH = 5

/**
 * `undefined` if no hashed value can stand in a string that the text masks leave.
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

  // Tokens first, before a mask tears them apart; local parts last, after whole addresses.
  const mask = (text: string, isErrorText: boolean): string => {
    const masked = maskText(replaceMatches(text, [words, phones]))
    if (!isErrorText) return masked
    const withoutLocalParts = replaceMatches(masked, [localParts])
    return withoutLocalParts === masked ? masked : maskText(withoutLocalParts)
  }
  return {
    mask,
    maskNumber(digits) {
      if (digits.length < MIN_LENGTH) return undefined
      if (phones.has(Number(digits), digits.length)) return '[PHONE]'
      return words.isEmpty || words.find(readPieces(plainReading(digits))).length === 0 ? undefined : REDACTED
    }
  }
}

/** More comparisons than this take longer than the search they may spare. */
const MAX_COMPARISONS = 16

/** Without case and word boundaries: a quick look that spares nearly every event the search. */
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

function replaceMatches(text: string, searches: readonly Search[]): string {
  if (text.length < MIN_LOCAL_PART_LENGTH || searches.every(({ isEmpty }) => isEmpty)) return text
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
