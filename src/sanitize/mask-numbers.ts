// Tested by test/sanitize/mask-text.test.ts
import { MAX_CARD_DIGITS, MIN_CARD_DIGITS } from './card.ts'
import { CardFinder } from './card-text.ts'
import { DIGIT, isAlphanumeric, LETTER } from './char-class.ts'
import type { Reading } from './decoded-text.ts'
import {
  DASH,
  end,
  followsPlus,
  groupText,
  isBlank,
  isTight,
  jointBefore,
  NONE,
  PARENTHESIS,
  type Run,
  readRun,
  size,
  start
} from './digit-run.ts'
import type { Find } from './finds.ts'
import { dialledEnd, phoneEnd, plusBefore } from './phone-text.ts'
import type { TextKind } from './text-kinds.ts'

/** The kinds to find in a run of digits, and where: the usable groups end before `stop`. */
type Search = { run: Run; cards: CardFinder | undefined; ssns: boolean; phones: boolean; stop: number }

/** Three, two and four digits. No number was ever issued with 000, 666 or 9xx, 00, or 0000. */
function isSsn(search: Search, from: number, floor: number): boolean {
  const { run, stop } = search
  if (from + 2 >= stop || size(run, from) !== 3 || size(run, from + 1) !== 2 || size(run, from + 2) !== 4) {
    return false
  }
  const area = groupText(run, from)
  if (area === '000' || area === '666' || area.startsWith('9')) return false
  if (groupText(run, from + 1) === '00' || groupText(run, from + 2) === '0000') return false
  return standsAlone(search, from, floor)
}

/** Not a part of a longer number, version or IP address. If the separators are blanks, also not after other digits. */
function standsAlone({ run, cards, stop }: Search, from: number, floor: number): boolean {
  const first = run.joints[from] ?? NONE
  const second = run.joints[from + 1] ?? NONE
  if (first === PARENTHESIS || second === PARENTHESIS) return false
  const before = jointBefore(run, from, floor)
  if (isTight(before) || before === PARENTHESIS) return false
  if (before !== NONE && (isBlank(first) || isBlank(second))) return false
  const after = run.joints[from + 2] ?? NONE
  return !isTight(after) || (cards?.end(from + 3, stop, floor) ?? -1) !== -1
}

/** The last group of a card number that starts with `from`, and of those it overlaps with, or -1. */
function cardEnd({ cards, stop }: Search, from: number, floor: number): number {
  if (cards === undefined) return -1
  let to = cards.end(from, stop, floor)
  for (let next = from + 1; next <= to; next++) to = Math.max(to, cards.end(next, stop, floor))
  return to
}

/** Also of the card number that it overlaps with. */
function ssnEnd(search: Search, from: number, floor: number): number {
  if (!search.ssns || !isSsn(search, from, floor)) return -1
  let to = from + 2
  for (let next = from + 1; next <= to; next++) to = Math.max(to, cardEnd(search, next, floor))
  return to
}

/** The next group after `from`, in reach of a telephone number, at which something else starts; else the last but one. */
function nextFind(search: Search, from: number): number {
  const { run, cards, ssns, stop } = search
  for (let next = from + 1, digits = size(run, from); next < stop && digits <= MAX_CARD_DIGITS; next++) {
    const floor = end(run, next - 1) // digits of a telephone number do not count as neighbours
    if (cards !== undefined && cards.end(next, stop, floor) !== -1) return next
    if (ssns && isSsn(search, next, floor)) return next
    digits += size(run, next)
  }
  return run.starts.length
}

/** Adds what is personal in one run of digits. Returns the end of the last find. */
function searchRun(search: Search, firstGroup: number, masked: number, finds: Find[]): number {
  const { run, phones, stop } = search
  let floor = masked
  const add = (from: number, lastGroup: number, mask: string): number => {
    floor = end(run, lastGroup)
    finds.push({ from, to: floor, mask })
    return lastGroup
  }
  for (let group = 0; group < run.starts.length; group++) {
    const next = () => nextFind(search, group)
    const mayFollowPlus = phones && (group === 0 || followsPlus(run, group))
    const plus = mayFollowPlus ? plusBefore(run, group, floor) : -1
    const phone = plus === -1 ? -1 : phoneEnd(run, group, next)
    if (phone !== -1) {
      group = add(plus, phone, '[PHONE]')
      continue
    }
    if (group < firstGroup || group >= stop) continue
    const from = start(run, group)
    const card = cardEnd(search, group, floor)
    const ssn = card === -1 ? ssnEnd(search, group, floor) : -1
    if (card !== -1) group = add(from, card, '[CARD]')
    else if (ssn !== -1) group = add(from, ssn, '[SSN]')
    else if (phones) {
      const dialled = dialledEnd(run, group, floor, stop, next)
      if (dialled !== -1) group = add(from, dialled, '[PHONE]')
    }
  }
  return floor
}

/**
 * Telephone numbers after `+` or `00`, card numbers and US social security numbers, as far as `kinds` names them, in
 * the order in which they stand. Time grows linearly with the text.
 */
export function findNumbers(reading: Reading, kinds: ReadonlySet<TextKind>): Find[] {
  const { text } = reading
  const cards = kinds.has('card')
  const ssns = kinds.has('ssn')
  const phones = kinds.has('phone')
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
    index = end(run, run.starts.length - 1)
    // A group that touches a letter is part of something else: of a digest, an id, a key.
    const firstGroup = start(run, 0) > floor && isAlphanumeric(text, start(run, 0) - 1) ? 1 : 0
    const stop = LETTER[text.charCodeAt(index)] === 1 ? run.starts.length - 1 : run.starts.length
    floor = searchRun(
      {
        run,
        cards: cards && index - start(run, 0) >= MIN_CARD_DIGITS ? new CardFinder(run) : undefined,
        ssns,
        phones,
        stop
      },
      firstGroup,
      floor,
      finds
    )
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
  if (text.charCodeAt(first + 8) !== DASH || (first > 0 && isAlphanumeric(text, first - 1))) return -1
  uuid.lastIndex = first
  if (!uuid.test(text)) return -1
  return /[a-f]/i.test(text.slice(first, first + 36)) ? first + 36 : -1
}
