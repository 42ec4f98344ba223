import type { Match, Pieces } from './word-search.ts'

/** A short code has six digits, a number at most 15 (ITU-T E.164). */
const MIN_DIGITS = 6
const MAX_DIGITS = 15
/** A country code has up to three digits, and national numbers may begin with one more `0`. */
const MAX_PREFIX_DIGITS = 4
/** Without its country code, only a long enough number can be distinguished from other digits. */
const MIN_ENDING = 1e6
const MIN_NATIONAL_DIGITS = 10
/** `+33 6 12 34 56 78` has six. */
const MAX_GROUPS = 8
/** `415.555.0123`; more digits behind a dot are decimals. */
const LONGEST_AFTER_DOT = 4
const MAX_SEPARATORS = 3
const separators = new Set(' -./()+\t\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013\u2014')
const NOT_DIGITS = -1
/** A table takes a tenth of the time of `10 ** n`. */
const POWERS_OF_TEN = Array.from({ length: MAX_DIGITS + 3 }, (_, exponent) => 10 ** exponent)
const SIX_DIGITS = 10 ** MIN_DIGITS

const tenTo = (exponent: number): number => POWERS_OF_TEN[exponent] ?? Number.POSITIVE_INFINITY

/**
 * Finds given telephone numbers in other texts, as whole numbers: in any grouping, with and without the country
 * code. Time grows linearly with the text.
 */
export class PhoneSearch {
  readonly #numbers = new Set<number>()
  /** Of the given numbers, without the country code they may begin with. */
  readonly #endings = new Set<number>()
  /** The given numbers that are not in #endings yet: few texts make it necessary to fill it. */
  readonly #withoutEndings: string[] = []
  /** The last six digits of all of them: they alone rule out most digits in a text. */
  readonly #lastSix = new Set<number>()

  get isEmpty(): boolean {
    return this.#numbers.size === 0
  }

  /** `digits`: at most 15 ASCII digits, country code first if it is known. */
  add(digits: string): void {
    this.#numbers.add(Number(digits))
    this.#lastSix.add(Number(digits.slice(-MIN_DIGITS)))
    this.#withoutEndings.push(digits)
  }

  #addEndings(): void {
    for (const digits of this.#withoutEndings.splice(0)) {
      for (let prefix = 1; prefix <= MAX_PREFIX_DIGITS; prefix++) {
        const ending = Number(digits.slice(prefix))
        if (ending >= MIN_ENDING) this.#endings.add(ending)
      }
    }
  }

  /** A number of so many digits, leading zeros counted. */
  has(number: number, digits: number): boolean {
    if (digits < MIN_DIGITS || !this.#lastSix.has(number % SIX_DIGITS)) return false
    if (this.#withoutEndings.length > 0) this.#addEndings()
    if (this.#numbers.has(number) || (number >= MIN_ENDING && this.#endings.has(number))) return true
    for (let kept = digits - 1; kept >= MIN_NATIONAL_DIGITS && kept > digits - MAX_PREFIX_DIGITS; kept--) {
      if (this.#numbers.has(number % tenTo(kept))) return true
    }
    return false
  }

  /** A quick look: if false, `find` finds nothing in a text of these characters. */
  mayFindIn(text: string): boolean {
    if (this.isEmpty) return false
    let lastSix = 0
    let digits = 0
    for (let index = 0; index < text.length; index++) {
      const digit = text.charCodeAt(index) - 0x30
      if (digit < 0 || digit > 9) continue
      lastSix = (lastSix * 10 + digit) % SIX_DIGITS
      if (++digits >= MIN_DIGITS && this.#lastSix.has(lastSix)) return true
    }
    return false
  }

  /** In the order of the text. */
  find({ texts, starts }: Pieces): Match[] {
    const groups = texts.map(groupValue)
    const found: Match[] = []
    for (let index = 0; index < texts.length; index++) {
      if (groups[index] === NOT_DIGITS) continue
      const last = this.#endOfNumber(texts, groups, index)
      if (last === -1) continue
      const start = starts[beginning(texts, index, last)] ?? 0
      found.push({ start, end: starts[last + 1] ?? 0, label: '[PHONE]' })
      index = last
    }
    return found
  }

  /** The last piece of the longest known number that starts with piece `first`, or -1. */
  #endOfNumber(texts: readonly string[], groups: readonly number[], first: number): number {
    // The decimals of `0.5551234567` are not a number of their own.
    if (texts[first - 1] === '.' && (groups[first - 2] ?? NOT_DIGITS) !== NOT_DIGITS) return -1
    let number = 0
    let digits = 0
    let end = -1
    let index = first
    for (let count = 0; count < MAX_GROUPS && index !== -1; count++) {
      const size = texts[index]?.length ?? 0
      if (count > 0 && size > LONGEST_AFTER_DOT && texts[index - 1] === '.') break
      number = number * tenTo(size) + (groups[index] ?? 0)
      digits += size
      if (number >= tenTo(MAX_DIGITS)) break
      if (this.has(number, digits)) end = index
      index = nextGroup(texts, groups, index)
    }
    return end
  }
}

/** The value of a piece that is nothing but ASCII digits; `00` and 15 digits are the longest that can be a number. */
function groupValue(text: string): number {
  if (text.length > MAX_DIGITS + 2) return NOT_DIGITS
  let value = 0
  for (let index = 0; index < text.length; index++) {
    const digit = text.charCodeAt(index) - 0x30
    if (digit < 0 || digit > 9) return NOT_DIGITS
    value = value * 10 + digit
  }
  return value
}

/** With the `+`, and the parenthesis of `(555) 123-4567`. */
function beginning(texts: readonly string[], first: number, last: number): number {
  const before = texts[first - 1]
  const isOpened = before === '(' && texts[first + 1] === ')' && first + 1 < last
  return before === '+' || isOpened ? first - 1 : first
}

function nextGroup(texts: readonly string[], groups: readonly number[], group: number): number {
  let index = group + 1
  while (index - group <= MAX_SEPARATORS && separators.has(texts[index] ?? '')) index++
  return index > group + 1 && (groups[index] ?? NOT_DIGITS) !== NOT_DIGITS ? index : -1
}
