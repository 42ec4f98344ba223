import { isLosslessNumber, LosslessNumber, parse, stringify } from 'lossless-json'

export { isLosslessNumber, LosslessNumber }

/**
 * A number in JSON text may have more digits than a JavaScript number can hold (64-bit ids, long decimals), or a
 * spelling that is lost (`19.90`, `1e400`). Such numbers are kept as a `LosslessNumber`, which holds their text.
 */

/**
 * Matches where a number inside an object or array may start that `Number()` changes: decimals, exponents, 16 digits or
 * more, minus zero. With `^` as one more start, V8 would need twice the time for the search.
 */
const suspect = /[:,[]\s*(?:-?\d{1,15}[.eE]|-?\d{16}|-0)/

/**
 * @param value what `JSON.parse` made of `text`
 * @param text valid JSON, nested no deeper than the stack allows
 * @returns `value` itself if all of its numbers are exact; otherwise the same value, in which each number that
 *   does not survive `Number()` is a `LosslessNumber`
 */
export function withExactNumbers(value: unknown, text: string): unknown {
  if (typeof value === 'object' && !suspect.test(text)) return value
  if (!holdsInexactNumber(text)) return value
  return parse(text, undefined, {
    parseNumber: digits => (isExact(digits) ? Number(digits) : new LosslessNumber(digits)),
    onDuplicateKey: ({ newValue }) => newValue
  })
}

/** `JSON.stringify` for a value that may hold `LosslessNumber`s, which are written with the digits they hold. */
export function stringifyExactly(value: unknown, space?: number): string {
  return stringify(value, undefined, space) ?? 'null'
}

const isExact = (digits: string): boolean => String(Number(digits)) === digits

const QUOTE = 0x22
const MINUS = 0x2d
/** Every integer of so many digits is exact. */
const MAX_EXACT_DIGITS = 15

/** Looks at the numbers between the strings. */
function holdsInexactNumber(text: string): boolean {
  for (let index = 0; index < text.length; ) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) index = afterString(text, index)
    else if (code === MINUS || isDigit(code)) {
      let end = index + 1
      while (isDigit(text.charCodeAt(end))) end++
      const isShort = code !== MINUS && end - index <= MAX_EXACT_DIGITS && !isFraction(text.charCodeAt(end))
      if (!isShort) {
        while (isDigit(text.charCodeAt(end)) || isFraction(text.charCodeAt(end))) end++
        if (!isExact(text.slice(index, end))) return true
      }
      index = end
    } else index++
  }
  return false
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

/** One of `.eE+-`: what a number can have besides digits. */
const isFraction = (code: number): boolean =>
  code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2b || code === MINUS

/** The index after the JSON string that starts at `quote`. */
function afterString(text: string, quote: number): number {
  for (let index = quote + 1; ; index++) {
    index = text.indexOf('"', index)
    if (index === -1) return text.length
    let backslashes = 0
    while (text.charAt(index - 1 - backslashes) === '\\') backslashes++
    if (backslashes % 2 === 0) return index + 1
  }
}
