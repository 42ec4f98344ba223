import { doubled, ISSUER_DIGITS, issuedLengths, MAX_CARD_DIGITS } from './card.ts'
import { DIGIT, isAlphanumeric, LETTER } from './characters.ts'
import type { Reading } from './decoded-text.ts'
import {
  DASH,
  DOT,
  end,
  groupText,
  isBlank,
  isTight,
  type Joint,
  jointBefore,
  NONE,
  PARENTHESIS,
  PLUS,
  type Run,
  readRun,
  SPACE,
  size,
  start
} from './digit-run.ts'
import type { Find } from './finds.ts'
import { dialledEnd, phoneEnd, plusBefore } from './phone-text.ts'
import type { TextKind } from './policy.ts'

/** Group `from` of a run, whose usable groups end before `stop`. `floor`: the end of what is masked already. */
type Group = { run: Run; from: number; stop: number; floor: number }

/**
 * The last group of the longest card number that starts with group `from`, or -1. A single space or dash may part
 * groups of any size. With anything else between them (dots, slashes, tabs, a plus) they must be as large as on a
 * card: else versions, dates and IP addresses would do.
 */
function cardEnd({ run, from, stop, floor }: Group): number {
  const { text } = run
  let digits = 0
  let prefix = 0
  let lengths: readonly number[] | undefined
  // Sums for the check digit: if the last digit counts once, and if it counts twice.
  let once = 0
  let twice = 0
  let found = -1
  let joint: Joint = NONE
  let isUniform = true
  let hasSmallGroup = size(run, from) < 4
  for (let to = from; to < stop && digits + size(run, to) <= MAX_CARD_DIGITS; to++) {
    for (let index = start(run, to); index < end(run, to); index++) {
      const digit = text.charCodeAt(index) - 48
      const onceBefore = once
      once = twice + digit
      twice = onceBefore + doubled(digit)
      digits++
      if (digits > ISSUER_DIGITS) continue
      prefix = prefix * 10 + digit
      if (digits === ISSUER_DIGITS) lengths = issuedLengths(prefix)
    }
    if (lengths?.length === 0) return -1
    if (once % 10 === 0 && lengths?.includes(digits) && (isUniform || !hasSmallGroup)) found = to
    const next = run.joints[to] ?? NONE
    if (next === PARENTHESIS) break
    if (to > from && size(run, to) < 3) hasSmallGroup = true
    if (!(next === SPACE || next === DASH) || (to > from && next !== joint)) isUniform = false
    if (!isUniform && hasSmallGroup) break
    joint = next
  }
  return found === from && isFraction(run, from, floor) ? -1 : found
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

/** Three, two and four digits. No number was ever given out with 000, 666 or 9xx, 00, or 0000. */
function isSsn({ run, from, stop, floor }: Group): boolean {
  if (from + 2 >= stop || size(run, from) !== 3 || size(run, from + 1) !== 2 || size(run, from + 2) !== 4) {
    return false
  }
  const area = groupText(run, from)
  if (area === '000' || area === '666' || area.startsWith('9')) return false
  if (groupText(run, from + 1) === '00' || groupText(run, from + 2) === '0000') return false
  return mayBeSsn(run, from, floor, stop)
}

/** Not a part of a longer number, version or IP address. With blanks between, nor after other digits. */
function mayBeSsn(run: Run, from: number, floor: number, stop: number): boolean {
  const first = run.joints[from] ?? NONE
  const second = run.joints[from + 1] ?? NONE
  if (first === PARENTHESIS || second === PARENTHESIS) return false
  const before = jointBefore(run, from, floor)
  if (isTight(before) || before === PARENTHESIS) return false
  if (before !== NONE && (isBlank(first) || isBlank(second))) return false
  const after = run.joints[from + 2] ?? NONE
  return !isTight(after) || cardEnd({ run, from: from + 3, stop, floor }) !== -1
}

/** The last group of a card or social security number that starts with `from`, and those it overlaps with. */
function secretEnd(group: Group, kinds: ReadonlySet<TextKind>): { to: number; mask: string } | undefined {
  const card = kinds.has('card') ? cardEnd(group) : -1
  const mask = card === -1 ? '[SSN]' : '[CARD]'
  let to = card
  if (to === -1 && kinds.has('ssn') && isSsn(group)) to = group.from + 2
  if (to === -1) return undefined
  for (let next = group.from + 1; next <= to; next++) {
    if (kinds.has('card')) to = Math.max(to, cardEnd({ ...group, from: next }))
  }
  return { to, mask }
}

/** Masks what is personal in one run of digits. Returns the end of the last mask. */
function maskRun(run: Run, kinds: ReadonlySet<TextKind>, masked: number, finds: Find[]): number {
  const { text, starts } = run
  const count = starts.length
  // A group that touches a letter is part of something else: of a digest, an id, a key.
  const stop = LETTER[text.charCodeAt(end(run, count - 1))] === 1 ? count - 1 : count
  const first = start(run, 0) > masked && isAlphanumeric(text, start(run, 0) - 1) ? 1 : 0
  let floor = masked
  const put = (from: number, lastGroup: number, mask: string): number => {
    floor = end(run, lastGroup)
    finds.push({ from, to: floor, mask })
    return lastGroup
  }
  const nextFind = (from: number) => () => {
    for (let next = from + 1, digits = size(run, from); next < stop && digits <= MAX_CARD_DIGITS; next++) {
      // Digits of a telephone number before it do not count as neighbours.
      const group = { run, from: next, stop, floor: end(run, next - 1) }
      if ((kinds.has('card') && cardEnd(group) !== -1) || (kinds.has('ssn') && isSsn(group))) return next
      digits += size(run, next)
    }
    return count
  }
  for (let group = 0; group < count; group++) {
    const canFollowPlus = group === 0 || run.joints[group - 1] === PLUS
    const plus = kinds.has('phone') && canFollowPlus ? plusBefore(run, group, floor) : -1
    const phone = plus === -1 ? -1 : phoneEnd(run, group, nextFind(group))
    if (phone !== -1) {
      group = put(plus, phone, '[PHONE]')
      continue
    }
    if (group < first || group >= stop) continue
    const secret = secretEnd({ run, from: group, stop, floor }, kinds)
    const dialled =
      kinds.has('phone') && secret === undefined ? dialledEnd(run, group, floor, stop, nextFind(group)) : -1
    if (secret !== undefined) group = put(start(run, group), secret.to, secret.mask)
    else if (dialled !== -1) group = put(start(run, group), dialled, '[PHONE]')
  }
  return floor
}

/**
 * Telephone numbers after `+` or `00`, card numbers and US social security numbers, as far as `kinds` names them, in
 * the order in which they stand. Time grows linearly with the text.
 */
export function findNumbers(reading: Reading, kinds: ReadonlySet<TextKind>): Find[] {
  const { text } = reading
  const finds: Find[] = []
  let floor = 0
  for (let index = 0; index < text.length; index++) {
    if (DIGIT[text.charCodeAt(index)] !== 1) continue
    const uuid = uuidEnd(text, index)
    if (uuid !== -1) {
      index = uuid
      continue
    }
    const run = readRun(reading, index)
    floor = maskRun(run, kinds, floor, finds)
    index = end(run, run.starts.length - 1)
  }
  return finds
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-z])/iy

/**
 * The end of the UUID that holds the digit at `index`, or -1. Its groups may look like those of a card. One
 * of digits only does not count.
 */
function uuidEnd(text: string, index: number): number {
  let first = index
  while (first > index - 8 && first > 0 && LETTER[text.charCodeAt(first - 1)] === 1) first--
  if (first > 0 && isAlphanumeric(text, first - 1)) return -1
  uuid.lastIndex = first
  if (!uuid.test(text)) return -1
  return /[a-f]/i.test(text.slice(first, first + 36)) ? first + 36 : -1
}
