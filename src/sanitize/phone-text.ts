// Tested by test/sanitize/mask-text.test.ts
import { DIGIT, isAlphanumeric, SURE_PLUS } from './char-class.ts'
import {
  DASH,
  DOT,
  end,
  followsPlus,
  groupText,
  isBlank,
  isTight,
  jointBefore,
  NONE,
  PARENTHESIS,
  PLUS,
  type Run,
  size,
  start
} from './digit-run.ts'

/** ITU-T E.164: at most 15 digits; fewer than 7 are not a subscriber's number. */
export const MIN_PHONE_DIGITS = 7
export const MAX_PHONE_DIGITS = 15
/** With the prefix `00`. Shorter ones are order numbers with leading zeros. */
export const MIN_DIALLED_DIGITS = 12
const MAX_DIALLED_DIGITS = MAX_PHONE_DIGITS + 2
/** A number after a letter, plus and plus (`to++14155550123`, from a form); `C++ 11 14 17` is not one. */
const MIN_DIGITS_AFTER_TWO_PLUSES = 9

/** A time zone: no number starts with +100, +110, +120, +130 or +140. */
const offset = /^1(?:0[03]0|1[03]0|2(?:00|45)|300|400)$/
const timeBefore = /\d:\d\d(?:[.,]\d{1,9})? ?$/
const offsetAfterTime = /^(?:0\d|1[0-4])(?:[0-5]\d)?$/
/** A latitude or longitude beside the one in question, with its sign or many digits. */
const coordinateAfter = /[,;/ \t]{0,3}[-+\uff0b](?:180|1[0-7]\d|0?\d\d?)\.\d{3}/y
const longCoordinateAfter = /[,;/ \t]{1,3}(?:180|1[0-7]\d|0?\d\d?)\.\d{4}/y
const coordinateBefore = /\d\.\d{3,17}[,;/ \t]{0,3}$/
/** `+1 234 567.89`, `+12.345.678 EUR` */
const amount = /\d{1,3}(?:[ .]\d{3})+(?:[.,]\d\d?(?![.\d])| ?(?:\p{Sc}|%|(?:EUR|USD|GBP|CHF|JPY)\b))/uy
const CONTEXT = 24
/** ITU-T E.164 country codes. */
const countryCode =
  /^(?:1|7|2[07]|2[1-689]\d|3[0-469]|3[578]\d|4[013-9]|42\d|5[1-8]|5[09]\d|6[0-6]|6[7-9]\d|8[1246]|8[0578]\d|9[0-58]|9[679]\d)$/

/**
 * The index of the plus that makes the digits from `group` on a telephone number, or -1.
 *
 * @param floor the end of what is masked already
 */
export function plusBefore(run: Run, group: number, floor: number): number {
  const { text } = run
  const first = start(run, group)
  if (text.charCodeAt(first) === 0x30) return -1
  let plus = first - 1
  while (plus > first - 3 && (text.charAt(plus) === ' ' || text.charAt(plus) === '(')) plus--
  if (plus < floor || !isPlus(text, plus)) return -1
  if (!mayStandAt(run, group, plus, floor)) return -1
  return isOtherNumber(run, group, plus, floor) ? -1 : plus
}

const isPlus = (text: string, index: number): boolean => {
  const code = text.charCodeAt(index)
  return code === PLUS || code === SURE_PLUS
}

/** Not in a word, a sum, or `C++ 11`. */
function mayStandAt(run: Run, group: number, plus: number, floor: number): boolean {
  const { text } = run
  if (plus === floor) return true
  if (isAlphanumeric(text, plus - 1)) return false
  const isSpaced = plus < start(run, group) - 1
  if (text.charCodeAt(plus - 1) === PLUS && plus - 1 > floor && isAlphanumeric(text, plus - 2)) {
    const isCertain = text.charCodeAt(plus) === SURE_PLUS || size(run, group) >= MIN_DIGITS_AFTER_TWO_PLUSES
    return isCertain && !isSpaced
  }
  const isSum = isSpaced && text.charAt(plus - 1) === ' ' && DIGIT[text.charCodeAt(plus - 2)] === 1
  return !(isSum && plus - 1 > floor)
}

/** A time zone, a coordinate, another decimal, or an amount. */
function isOtherNumber(run: Run, group: number, plus: number, floor: number): boolean {
  const { text } = run
  const before = text.slice(Math.max(floor, plus - CONTEXT), plus)
  const digits = size(run, group) <= 4 ? groupText(run, group) : ''
  if (offset.test(digits) || (offsetAfterTime.test(digits) && timeBefore.test(before))) return true
  if (run.joints[group] === DOT && size(run, group) <= 3 && isDecimal(run, group, before)) return true
  return matchesAt(amount, text, start(run, group))
}

/** `+37.7749295`, and not `+49.3012345678`, which is how domain registries write numbers. */
function isDecimal(run: Run, group: number, before: string): boolean {
  const fraction = size(run, group + 1)
  const after = end(run, group + 1)
  if (fraction >= 3 && matchesAt(coordinateAfter, run.text, after)) return true
  if (fraction >= 4 && matchesAt(longCoordinateAfter, run.text, after)) return true
  if (coordinateBefore.test(before)) return true
  const joint = run.joints[group + 1] ?? NONE
  if (joint !== NONE && !(isBlank(joint) && fraction >= 6)) return false
  const code = groupText(run, group)
  if (!countryCode.test(code)) return true
  return code === '1' ? fraction !== 10 : fraction < 8
}

/** @param pattern sticky */
function matchesAt(pattern: RegExp, text: string, index: number): boolean {
  pattern.lastIndex = index
  return pattern.test(text)
}

/** The last of the groups from `from` on, before `stop`, that belong to one number of `max` digits, or -1. */
function lastGroup(run: Run, from: number, stop: number, min: number, max: number): number {
  let digits = 0
  let to = from - 1
  let beforePlus = -1 // form encoding has a plus for a space, but it may be the next number's
  while (to + 1 < stop && digits + size(run, to + 1) <= max) {
    if (digits >= min && followsPlus(run, to + 1)) beforePlus = to
    to++
    digits += size(run, to)
  }
  if (digits < min) return -1
  return to + 1 < stop && beforePlus !== -1 ? beforePlus : to
}

/** Digits from group `from` to the end of the run; more than `max` count as `max + 1`. */
function digitsFrom(run: Run, from: number, max: number): number {
  let digits = 0
  for (let group = from; group < run.starts.length && digits <= max; group++) digits += size(run, group)
  return Math.min(digits, max + 1)
}

/**
 * The last group of the number after a plus, which starts with group `from`, or -1.
 *
 * @param nextFind the next group at which a card or social security number starts, or the end of the run
 */
export function phoneEnd(run: Run, from: number, nextFind: () => number): number {
  const fits = digitsFrom(run, from, MAX_PHONE_DIGITS) <= MAX_PHONE_DIGITS
  const stop = fits ? run.starts.length : nextFind()
  return lastGroup(run, from, stop, MIN_PHONE_DIGITS, MAX_PHONE_DIGITS)
}

/** The last group of the number that starts with `00` in group `from`, or -1. `stop`: the end of usable groups. */
export function dialledEnd(
  run: Run,
  from: number,
  floor: number,
  stop: number,
  nextFind: () => number
): number {
  if (!startsDialled(run, from, floor)) return -1
  const fits = digitsFrom(run, from, MAX_DIALLED_DIGITS) <= MAX_DIALLED_DIGITS
  const limit = fits ? stop : Math.min(stop, nextFind())
  const to = lastGroup(run, from, limit, MIN_DIALLED_DIGITS, MAX_DIALLED_DIGITS)
  if (to === -1 || isHardwareAddress(run, from, to)) return -1
  // Joined to more digits, it is a part of something else.
  return to + 1 < limit && isTight(run.joints[to] ?? NONE) ? -1 : to
}

/** `00` and not a third zero; not the decimals or minutes after something, nor a part of a longer number. */
function startsDialled(run: Run, from: number, floor: number): boolean {
  const { text } = run
  const first = start(run, from)
  if (!text.startsWith('00', first)) return false
  const next = size(run, from) > 2 ? first + 2 : start(run, from + 1)
  if (size(run, from) < 2 || next === 0 || text.charAt(next) === '0') return false
  const joint = jointBefore(run, from, floor)
  if (joint === PLUS || joint === PARENTHESIS || isTight(joint)) return false
  if (first === floor || first === 0) return true
  // `id=2000123…` may be read as quoted-printable.
  if (text.charAt(first - 1) !== '=' && run.reading.source.charAt(run.reading.start(first - 1)) === '=')
    return false
  return !(
    /[.,:]/.test(text.charAt(first - 1)) &&
    first - 1 > floor &&
    DIGIT[text.charCodeAt(first - 2)] === 1
  )
}

/** `00-16-17-12-34-56` */
function isHardwareAddress(run: Run, from: number, to: number): boolean {
  if (to - from !== 5) return false
  for (let group = from; group <= to; group++) {
    if (size(run, group) !== 2 || (group < to && run.joints[group] !== DASH)) return false
  }
  return true
}
