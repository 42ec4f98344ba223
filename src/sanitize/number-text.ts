import { issuedLengths, MAX_CARD_DIGITS, passesLuhn } from './card.ts'
import { DIGIT, isAlphanumeric, LETTER } from './characters.ts'
import type { TextKind } from './policy.ts'

/** What stands between the digits of a telephone number: spaces, dashes, dots, slashes, parentheses. */
const separators = new Set(' -./()\u00a0\u2007\u2009\u202f\u2010\u2011\u2012\u2013\u2014')
/** What stands, alone, between the groups of a card or social security number. */
const groupSeparators = new Set(' -\u00a0\u2007\u202f\u2010\u2011\u2013')
const MAX_SEPARATORS = 3
/** `+`, also in a URL, in JSON inside a string, in HTML, and in full width; then perhaps a space or `(`. */
const plusBefore = /(?:[+\uff0b]|%(?:25){0,3}2b|\\u002b|&#(?:43|x2b);)[ (\u00a0]{0,2}$/i
const LONGEST_PLUS = 12

/** ITU-T E.164: at most 15 digits; fewer than 7 is no subscriber's number. */
const MIN_PHONE_DIGITS = 7
const MAX_PHONE_DIGITS = 15

/** Groups of digits with separators between them, as far as they reach. */
type Run = { text: string; starts: number[]; ends: number[] }
/** Groups `from`..`to` (included) are personal. */
type Find = { from: number; to: number; mask: string }

const groups = (run: Run) => run.starts.length
const start = (run: Run, group: number) => run.starts[group] ?? 0
const end = (run: Run, group: number) => run.ends[group] ?? 0
const size = (run: Run, group: number) => end(run, group) - start(run, group)

function readRun(text: string, firstDigit: number): Run {
  const run: Run = { text, starts: [], ends: [] }
  let index = firstDigit
  for (;;) {
    run.starts.push(index)
    while (DIGIT[text.charCodeAt(index)] === 1) index++
    run.ends.push(index)
    let next = index
    while (next - index < MAX_SEPARATORS && separators.has(text.charAt(next))) next++
    if (next === index || DIGIT[text.charCodeAt(next)] !== 1) return run
    index = next
  }
}

/** Between a group and the next stands one space or one dash, nothing else. */
function isGrouped(run: Run, group: number): boolean {
  const at = end(run, group)
  return start(run, group + 1) - at === 1 && groupSeparators.has(run.text.charAt(at))
}

/** The last group of the longest card number that starts with group `from`, or -1. */
function cardFrom(run: Run, from: number, stop: number): number {
  let digits = ''
  let lengths: readonly number[] | undefined
  let found = -1
  for (let to = from; to < stop; to++) {
    if (digits.length + size(run, to) > MAX_CARD_DIGITS) break
    digits += run.text.slice(start(run, to), end(run, to))
    if (lengths === undefined && digits.length >= 6) {
      lengths = issuedLengths(Number(digits.slice(0, 6)))
      if (lengths.length === 0) break
    }
    if (lengths?.includes(digits.length) && passesLuhn(digits)) found = to
    if (to + 1 < stop && !isGrouped(run, to)) break
  }
  return found
}

/** ddd-dd-dddd; no number was ever given out with 000, 666 or 9xx in front. */
function isSsn(run: Run, from: number, stop: number): boolean {
  if (from + 2 >= stop || size(run, from) !== 3 || size(run, from + 1) !== 2 || size(run, from + 2) !== 4)
    return false
  if (!isGrouped(run, from) || !isGrouped(run, from + 1)) return false
  const area = run.text.slice(start(run, from), end(run, from))
  return area !== '000' && area !== '666' && !area.startsWith('9')
}

/** `00` and the number, without separators, as a whole token: not the decimals of `0.00123…`. */
function isDialled(run: Run, group: number, stop: number): boolean {
  const at = start(run, group)
  const { text } = run
  if (group >= stop || size(run, group) < 11 || size(run, group) > 17) return false
  if (!text.startsWith('00', at) || text.charAt(at + 2) === '0') return false
  return text.charAt(at - 1) !== '.' && text.charAt(at - 1) !== ','
}

/** Cards, social security numbers and dialled numbers among groups `first`..`stop`, overlaps joined. */
function findAll(run: Run, kinds: ReadonlySet<TextKind>, first: number, stop: number): Find[] {
  const finds: Find[] = []
  for (let group = first; group < stop; group++) {
    let to = -1
    let mask = ''
    if (kinds.has('card')) {
      to = cardFrom(run, group, stop)
      mask = '[CARD]'
    }
    if (to === -1 && kinds.has('ssn') && isSsn(run, group, stop)) {
      to = group + 2
      mask = '[SSN]'
    }
    if (to === -1 && kinds.has('phone') && isDialled(run, group, stop)) {
      to = group
      mask = '[PHONE]'
    }
    if (to === -1) continue
    const last = finds.at(-1)
    if (last !== undefined && last.to >= group) last.to = Math.max(last.to, to)
    else finds.push({ from: group, to, mask })
  }
  return finds
}

/** The last of the groups up to `stop` that still belongs to a number after `+`, or -1. */
function phoneEnd(run: Run, stop: number): number {
  let digits = 0
  let to = -1
  while (to + 1 < stop && digits + size(run, to + 1) <= MAX_PHONE_DIGITS) {
    to++
    digits += size(run, to)
  }
  return digits >= MIN_PHONE_DIGITS ? to : -1
}

/** The index of the `+` that makes the run a telephone number, or -1. */
function plusOf(run: Run, masked: number): number {
  const first = start(run, 0)
  if (run.text.charAt(first) === '0') return -1
  const before = run.text.slice(Math.max(masked, first - LONGEST_PLUS), first)
  const plus = plusBefore.exec(before)
  if (plus === null) return -1
  const at = first - before.length + plus.index
  return at > masked && isAlphanumeric(run.text, at - 1) ? -1 : at
}

/**
 * Telephone numbers after `+` or `00`, card numbers and US social security numbers become `[PHONE]`, `[CARD]`
 * and `[SSN]`, as far as `kinds` names them. Time grows linearly with the text.
 */
export function maskNumbers(text: string, kinds: ReadonlySet<TextKind>): string {
  let result = ''
  let masked = 0
  const mask = (from: number, to: number, label: string) => {
    result += text.slice(masked, from) + label
    masked = to
  }
  for (let index = 0; index < text.length; index++) {
    if (DIGIT[text.charCodeAt(index)] !== 1) continue
    const uuid = uuidEnd(text, index)
    if (uuid !== -1) {
      index = uuid
      continue
    }
    const run = readRun(text, index)
    index = end(run, groups(run) - 1)
    const plus = plusOf(run, masked)
    const callable = plus !== -1 && kinds.has('phone')
    if (callable && phoneEnd(run, groups(run)) === groups(run) - 1) {
      mask(plus, index, '[PHONE]')
      continue
    }
    // A group that touches a letter is part of something else: of a digest, an id, a key.
    const touched = plus === -1 && start(run, 0) > masked && isAlphanumeric(text, start(run, 0) - 1)
    const stop = LETTER[text.charCodeAt(index)] === 1 ? groups(run) - 1 : groups(run)
    const finds = findAll(run, kinds, touched ? 1 : 0, stop)
    const phone = callable ? phoneEnd(run, finds[0]?.from ?? groups(run)) : -1
    if (phone !== -1) mask(plus, end(run, phone), '[PHONE]')
    for (const find of finds) mask(start(run, find.from), end(run, find.to), find.mask)
  }
  return masked === 0 ? text : result + text.slice(masked)
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-z])/iy

/**
 * The end of the UUID that holds the digit at `index`, or -1. Its groups may look like those of a card. One
 * that is all digits counts as none.
 */
function uuidEnd(text: string, index: number): number {
  let first = index
  while (first > index - 8 && first > 0 && LETTER[text.charCodeAt(first - 1)] === 1) first--
  if (first > 0 && isAlphanumeric(text, first - 1)) return -1
  uuid.lastIndex = first
  if (!uuid.test(text)) return -1
  return /[a-f]/i.test(text.slice(first, first + 36)) ? first + 36 : -1
}
