// Tested by test/sanitize/text-properties.test.ts
function table(characters: string): Uint8Array {
  const entries = new Uint8Array(128)
  for (const character of characters) entries[character.charCodeAt(0)] = 1
  return entries
}

/** Look-up by character code; there is no entry beyond ASCII. A table costs a third of a comparison chain. */
export const DIGIT = table('0123456789')
export const LETTER = table('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')
export const HEX = table('0123456789abcdefABCDEF')
export const PUNCTUATION = table('!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~')

/** ASCII only: in scripts that write no spaces, a number follows a letter directly. */
export function isAlphanumeric(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  return DIGIT[code] === 1 || LETTER[code] === 1
}

const notInAWord = /[\p{P}\p{Z}\p{Cc}]/u

/** A character beyond ASCII that can be part of a name: anything but punctuation, spaces and controls. */
export function isBeyondAsciiWord(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  if (code < 0x80) return false
  if (code >= 0xd800 && code <= 0xdfff) return true
  return !notInAWord.test(text.charAt(index))
}

/**
 * A plus that cannot stand for a space: any plus but the bare ASCII one, which form encoding writes for a space.
 * Encoded ones (`%2B`, `&#43;`) are decoded to it.
 */
export const SURE_PLUS = 0xff0b

/** What stands in CANONICAL for an invisible character. */
export const INVISIBLE = 0

/** Pluses, dots and slashes of other scripts, and what else Unicode has no class for. */
const likenesses: readonly (readonly [canonical: number, characters: string])[] = [
  [SURE_PLUS, '\u207a\u208a\u2795\ufb29\ufe62\uff0b'],
  [0x40, '\ufe6b'],
  [0x2e, '\u2024\u3002\ufe52\uff61'],
  [0x2d, '\u2043\u2212'],
  [0x2f, '\u2044\u2215'],
  [INVISIBLE, '\u034f\u20e3\ufe00\ufe01\ufe0e\ufe0f']
]

const text = (units: Uint16Array): string => Buffer.from(units.buffer).toString('utf16le')

/** Calls `set` for each decimal digit; digits come in tens, in their order. */
function eachDigit(characters: string, set: (codePoint: number, value: number) => void): void {
  let before = 0
  let value = 0
  for (const [character] of characters.matchAll(/\p{Nd}/gu)) {
    const codePoint = character.codePointAt(0) ?? 0
    value = codePoint === before + 1 ? (value + 1) % 10 : 0
    before = codePoint
    set(codePoint, value)
  }
}

/**
 * How the search for personal text reads a UTF-16 code unit: decimal digits of any script as ASCII digits, any space as a
 * space, any dash as a hyphen, full-width forms as their plain forms. Below U+0080 and for most
 * others it is the code unit itself.
 */
export const CANONICAL = canonicalTable()

function canonicalTable(): Uint16Array {
  const entries = new Uint16Array(0x10000).map((_, code) => code)
  const characters = text(entries).slice(0x80)
  const set = (pattern: RegExp, canonical: number) => {
    for (const [character] of characters.matchAll(pattern)) entries[character.charCodeAt(0)] = canonical
  }
  for (let code = 0xff01; code <= 0xff5e; code++) entries[code] = code - 0xfee0
  set(/\p{Zs}/gu, 0x20)
  set(/\p{Pd}/gu, 0x2d)
  set(/\p{Cf}/gu, INVISIBLE)
  eachDigit(characters, (code, value) => {
    entries[code] = 0x30 + value
  })
  for (const [canonical, characters] of likenesses) {
    for (const character of characters) entries[character.charCodeAt(0)] = canonical
  }
  return entries
}

const NO_DIGIT = 0xff
/** Decimal digits of the plane after the basic one, such as mathematical and Adlam digits. */
const pairedDigits = new Uint8Array(0x10000).fill(NO_DIGIT)
{
  const surrogates = new Uint16Array(0x20000)
  for (let code = 0; code < 0x10000; code++) {
    surrogates[2 * code] = 0xd800 + (code >> 10)
    surrogates[2 * code + 1] = 0xdc00 + (code & 0x3ff)
  }
  eachDigit(text(surrogates), (codePoint, value) => {
    pairedDigits[codePoint - 0x10000] = value
  })
}

/** The value of a decimal digit that is a surrogate pair, or -1. */
export function pairedDigit(high: number, low: number): number {
  if (high < 0xd800 || high > 0xd83f || low < 0xdc00 || low > 0xdfff) return -1
  const digit = pairedDigits[((high - 0xd800) << 10) | (low - 0xdc00)] ?? NO_DIGIT
  return digit === NO_DIGIT ? -1 : digit
}
