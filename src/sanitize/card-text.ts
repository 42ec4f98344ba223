// Tested by test/sanitize/kinds.test.ts
import { doubled, ISSUER_DIGITS, issuedLengths, MAX_CARD_DIGITS, MIN_CARD_DIGITS } from './card.ts'
import { DIGIT } from './char-class.ts'
import { DASH, DOT, end, type Joint, NONE, PARENTHESIS, type Run, SPACE, size, start } from './digit-run.ts'

/** On a card, groups have four digits or more, the middle ones at least three. */
const MIN_FIRST_GROUP = 4
const MIN_MIDDLE_GROUP = 3
const GROUP_END = 0x80

/**
 * Finds card numbers in a run of digits.
 *
 * A single space or dash may stand between groups of any size, if it is the same throughout. With other separators
 * (dots, slashes, tabs, a plus) the groups must be as large as on a card: otherwise versions, dates and IP addresses would
 * match. The facts about each group are computed once, so that the cost per group does not grow with the run.
 */
export class CardFinder {
  readonly #run: Run
  /** Each digit; with GROUP_END if it is the last of its group. */
  readonly #digits: Uint8Array
  /** Sums of the digits before, modulo 10, with every second one doubled: the first, or the second. */
  readonly #sumsFirst: Uint8Array
  readonly #sumsSecond: Uint8Array
  /** How many digits come before a group. */
  readonly #offsets: Uint32Array
  /** How many digits a number that starts with a group can have: with one separator throughout, or with any. */
  readonly #reachUniform: Uint8Array
  readonly #reachAny: Uint8Array

  constructor(run: Run) {
    const groups = run.starts.length
    this.#run = run
    this.#offsets = new Uint32Array(groups + 1)
    for (let group = 0; group < groups; group++) {
      this.#offsets[group + 1] = (this.#offsets[group] ?? 0) + size(run, group)
    }
    const digits = this.#offsets[groups] ?? 0
    this.#digits = new Uint8Array(digits)
    this.#sumsFirst = new Uint8Array(digits + 1)
    this.#sumsSecond = new Uint8Array(digits + 1)
    this.#reachUniform = new Uint8Array(groups)
    this.#reachAny = new Uint8Array(groups)
    this.#readDigits()
    this.#measureReach()
  }

  #readDigits(): void {
    const { text, starts } = this.#run
    let index = 0
    for (let group = 0; group < starts.length; group++) {
      for (let at = start(this.#run, group); at < end(this.#run, group); at++) {
        const digit = text.charCodeAt(at) - 0x30
        const isFirst = index % 2 === 0
        this.#digits[index] = digit
        this.#sumsFirst[index + 1] = ((this.#sumsFirst[index] ?? 0) + (isFirst ? doubled(digit) : digit)) % 10
        this.#sumsSecond[index + 1] =
          ((this.#sumsSecond[index] ?? 0) + (isFirst ? digit : doubled(digit))) % 10
        index++
      }
      this.#digits[index - 1] = (this.#digits[index - 1] ?? 0) | GROUP_END
    }
  }

  #measureReach(): void {
    const run = this.#run
    let before: Joint = NONE
    for (let group = run.starts.length - 1; group >= 0; group--) {
      const joint = run.joints[group] ?? NONE
      const digits = size(run, group)
      const next = group + 1 < run.starts.length ? size(run, group + 1) : 0
      let uniform = 0
      if (joint === SPACE || joint === DASH)
        uniform = joint === before ? (this.#reachUniform[group + 1] ?? 0) : next
      let any = 0
      if (joint !== NONE && joint !== PARENTHESIS)
        any = next < MIN_MIDDLE_GROUP ? next : (this.#reachAny[group + 1] ?? 0)
      this.#reachUniform[group] = Math.min(digits + uniform, MAX_CARD_DIGITS + 1)
      this.#reachAny[group] = Math.min(digits + any, MAX_CARD_DIGITS + 1)
      before = joint
    }
  }

  /** The last group of the longest card number that starts with group `from` and ends before group `stop`, or -1. */
  end(from: number, stop: number, floor: number): number {
    const first = this.#offsets[from] ?? 0
    const uniform = this.#reachUniform[from] ?? 0
    const reach =
      size(this.#run, from) < MIN_FIRST_GROUP ? uniform : Math.max(uniform, this.#reachAny[from] ?? 0)
    if (reach < MIN_CARD_DIGITS) return -1
    let issuer = 0
    for (let index = first; index < first + ISSUER_DIGITS; index++) {
      issuer = issuer * 10 + ((this.#digits[index] ?? 0) & ~GROUP_END)
    }
    const lengths = issuedLengths(issuer)
    for (let index = lengths.length - 1; index >= 0; index--) {
      const length = lengths[index] ?? 0
      if (length > reach || !this.#isNumber(first, first + length)) continue
      const to = this.#groupBefore(from, first + length)
      if (to < stop && !(to === from && isFraction(this.#run, from, floor))) return to
    }
    return -1
  }

  /** The digits end with a group, and the check digit is right: the last digit is not doubled. */
  #isNumber(first: number, next: number): boolean {
    if (((this.#digits[next - 1] ?? 0) & GROUP_END) === 0) return false
    const sums = next % 2 === 0 ? this.#sumsFirst : this.#sumsSecond
    return sums[first] === sums[next]
  }

  #groupBefore(from: number, next: number): number {
    let to = from
    while ((this.#offsets[to + 1] ?? next) < next) to++
    return to
  }
}

/** The decimals of `0.4532015112830366` or `0,4532015112830366`. */
function isFraction(run: Run, group: number, floor: number): boolean {
  const sign = start(run, group) - 1
  if (sign <= floor) return false
  const { text } = run
  if (text.charCodeAt(sign) === DOT) return DIGIT[text.charCodeAt(sign - 1)] === 1
  if (text.charAt(sign) !== ',' || text.charAt(sign - 1) !== '0') return false
  return !(sign - 1 > floor && /[\d,]/.test(text.charAt(sign - 2)))
}
