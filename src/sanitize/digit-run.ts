// Tested by test/sanitize/mask-text.test.ts
import { DIGIT } from './char-class.ts'
import type { Reading } from './decoded-text.ts'

/** The separator between two groups of digits: its character code if it is one character, else one of these. */
export const NONE = 0
/** Two to four blanks. */
const BLANKS = 1
/** Two to four dashes, dots or slashes. */
const MARKS = 2
/** Blanks, and dashes, dots or slashes. */
const MIXED = 3
/** A parenthesis, alone or with others. */
export const PARENTHESIS = 4
export const SPACE = 0x20
/** Form encoding writes it for a space. */
export const PLUS = 0x2b
export const DASH = 0x2d
export const DOT = 0x2e
const SLASH = 0x2f
const TAB = 0x09

export type Joint = number

/** `+49 (0) 30 - 123`: the most between two groups of one number. */
const MAX_SEPARATORS = 4

const BLANK = 1
const MARK = 2
const PAREN = 4
const separators = new Uint8Array(128)
for (const character of ' \t') separators[character.charCodeAt(0)] = BLANK
for (const character of '-./') separators[character.charCodeAt(0)] = MARK
for (const character of '()') separators[character.charCodeAt(0)] = PAREN

export const isSeparator = (code: number): boolean => (separators[code] ?? 0) !== 0
/** Blanks only, or the plus that form encoding writes for one. */
export const isBlank = (joint: Joint): boolean => joint === SPACE || joint === BLANKS || joint === PLUS
/** Dashes, dots or slashes without a blank: the groups are parts of one thing. */
export const isTight = (joint: Joint): boolean =>
  joint === DASH || joint === DOT || joint === SLASH || joint === MARKS

/** Groups of digits with separators between them, as far as they go. */
export type Run = {
  readonly reading: Reading
  readonly text: string
  readonly starts: number[]
  readonly ends: number[]
  /** After each group but the last. */
  readonly joints: Joint[]
}

export const start = (run: Run, group: number): number => run.starts[group] ?? 0
export const end = (run: Run, group: number): number => run.ends[group] ?? 0
export const size = (run: Run, group: number): number => end(run, group) - start(run, group)
export const groupText = (run: Run, group: number): string =>
  run.text.slice(start(run, group), end(run, group))

/** The separator before the group, if the group before it is not masked. `floor`: the end of the masked text. */
export function jointBefore(run: Run, group: number, floor: number): Joint {
  return group === 0 || end(run, group - 1) <= floor ? NONE : (run.joints[group - 1] ?? NONE)
}

/** @param firstDigit its index in the text */
export function readRun(reading: Reading, firstDigit: number): Run {
  const { text } = reading
  const run: Run = { reading, text, starts: [], ends: [], joints: [] }
  let index = firstDigit
  for (;;) {
    run.starts.push(index)
    while (DIGIT[text.charCodeAt(index)] === 1) index++
    run.ends.push(index)
    const joint = jointAt(text, index)
    if (joint === NONE) return run
    run.joints.push(joint)
    while (DIGIT[text.charCodeAt(index)] !== 1) index++
  }
}

/** The joint that starts at `index`, if a digit follows it. */
function jointAt(text: string, index: number): Joint {
  const first = text.charCodeAt(index)
  if (first === PLUS && DIGIT[text.charCodeAt(index + 1)] === 1) return PLUS
  let kinds = 0
  let next = index
  for (; next - index < MAX_SEPARATORS; next++) {
    const kind = isSpaceByParenthesis(text, next) ? BLANK : (separators[text.charCodeAt(next)] ?? 0)
    if (kind === 0) break
    kinds |= kind
  }
  if (next === index || DIGIT[text.charCodeAt(next)] !== 1) return NONE
  if ((kinds & PAREN) !== 0) return PARENTHESIS
  if (next - index === 1 && first !== TAB) return first
  return kinds === MARK ? MARKS : kinds === BLANK ? BLANKS : MIXED
}

/** `+1+(415)+555+0123`: in a form, a plus beside a parenthesis is a space too. */
const isSpaceByParenthesis = (text: string, index: number): boolean =>
  text.charCodeAt(index) === PLUS && (text.charAt(index + 1) === '(' || text.charAt(index - 1) === ')')

/** The group may be the next number: the plus before it is not certain to be a space. */
export const followsPlus = (run: Run, group: number): boolean =>
  run.text.charCodeAt(start(run, group) - 1) === PLUS
