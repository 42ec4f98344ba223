import type { Match, Piece } from './word-search.ts'

/** ITU-T E.164: a number has at most 15 digits; a short code has six. */
const MIN_DIGITS = 6
const MAX_DIGITS = 15
/** With `00` in front. */
const MAX_DIALLED_DIGITS = MAX_DIGITS + 2
/** A country code has up to three digits, and national numbers may begin with another `0`. */
const MAX_PREFIX_DIGITS = 4
/** Without its country code, a number is told from other digits only if it is long enough. */
const MIN_NATIONAL_DIGITS = 7
const MIN_FULL_NATIONAL_DIGITS = 10
/** `+33 6 12 34 56 78` has six. */
const MAX_GROUPS = 8
/** `415.555.0123`; more digits behind a dot are decimals. */
const LONGEST_AFTER_DOT = 4
const MAX_SEPARATORS = 3
const separators = new Set(' -./()+\t\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013\u2014')
const digitsOnly = /^\d{1,17}$/

/**
 * Finds given telephone numbers in other texts, as whole numbers: in any grouping, with and without the country
 * code. Time grows linearly with the text.
 */
export class PhoneSearch {
  readonly #numbers = new Set<number>()
  /** Of the given numbers, without the country code they may begin with. */
  readonly #endings = new Set<number>()

  get isEmpty(): boolean {
    return this.#numbers.size === 0
  }

  /** `digits`: ASCII digits, country code first if it is known. */
  add(digits: string): void {
    this.#numbers.add(Number(digits))
    for (
      let prefix = 1;
      prefix <= MAX_PREFIX_DIGITS && digits.length - prefix >= MIN_NATIONAL_DIGITS;
      prefix++
    ) {
      this.#endings.add(Number(digits.slice(prefix)))
    }
  }

  /** `digits`: ASCII digits, leading zeros allowed. */
  has(digits: string): boolean {
    if (digits.length < MIN_DIGITS || digits.length > MAX_DIALLED_DIGITS) return false
    const number = Number(digits)
    if (this.#numbers.has(number)) return true
    if (digits.length >= MIN_NATIONAL_DIGITS && this.#endings.has(number)) return true
    for (
      let prefix = 1;
      prefix < MAX_PREFIX_DIGITS && digits.length - prefix >= MIN_FULL_NATIONAL_DIGITS;
      prefix++
    ) {
      if (this.#numbers.has(Number(digits.slice(prefix)))) return true
    }
    return false
  }

  /** In the order of the text. */
  find(pieces: readonly Piece[]): Match[] {
    const found: Match[] = []
    for (let index = 0; index < pieces.length; index++) {
      const last = this.#endOfNumber(pieces, index)
      if (last === -1) continue
      const first = beginning(pieces, index, last)
      found.push({ start: pieces[first]?.start ?? 0, end: pieces[last]?.end ?? 0, label: '[PHONE]' })
      index = last
    }
    return found
  }

  /** The last piece of the longest known number that starts with piece `first`, or -1. */
  #endOfNumber(pieces: readonly Piece[], first: number): number {
    // The decimals of `0.5551234567` are not a number of their own.
    if (pieces[first - 1]?.text === '.' && isGroup(pieces[first - 2])) return -1
    let digits = ''
    let end = -1
    let index = first
    for (let groups = 0; groups < MAX_GROUPS; groups++) {
      const group = pieces[index]
      if (!isGroup(group) || digits.length + group.text.length > MAX_DIALLED_DIGITS) break
      if (groups > 0 && group.text.length > LONGEST_AFTER_DOT && pieces[index - 1]?.text === '.') break
      digits += group.text
      if (this.has(digits)) end = index
      index = nextGroup(pieces, index)
    }
    return end
  }
}

const isGroup = (piece: Piece | undefined): piece is Piece =>
  piece?.isWord === true && digitsOnly.test(piece.text)

/** With the `+`, and the parenthesis of `(555) 123-4567`. */
function beginning(pieces: readonly Piece[], first: number, last: number): number {
  const before = pieces[first - 1]?.text
  const isOpened = before === '(' && pieces[first + 1]?.text === ')' && first + 1 < last
  return before === '+' || isOpened ? first - 1 : first
}

function nextGroup(pieces: readonly Piece[], group: number): number {
  let index = group + 1
  while (index - group <= MAX_SEPARATORS && separators.has(pieces[index]?.text ?? '')) index++
  return index === group + 1 ? -1 : index
}
