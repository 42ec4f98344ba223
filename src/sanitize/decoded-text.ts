// Tested by test/sanitize/text-properties.test.ts
import { CANONICAL, HEX, INVISIBLE, LETTER, PUNCTUATION, pairedDigit, SURE_PLUS } from './char-class.ts'
import { entityCodePoint } from './entities.ts'

/** A text as a reader sees it: decoded, digits and signs of any script as ASCII. */
export type Reading = {
  readonly source: string
  readonly text: string
  /** The index in the source at which the character at `index` starts. */
  start(index: number): number
  /** The index in the source after the character at `index`. */
  end(index: number): number
}

/** The source itself is the text. */
export function plainReading(text: string): Reading {
  return { source: text, text, start: index => index, end: index => index + 1 }
}

const encoded = /[^\0-\x7f]|%[0-9a-f]{2}|\\[!-/:-@[-`{-~nrtbfvxu]|&(?:#x?[0-9a-f]{1,8}|[a-z][a-z0-9]{1,9});/i
/** Without letters and digits: they are not encoded in practice, and `=41` may be the start of a card number in a query string. */
const quotedPrintableSign = /=(?:2[0-9A-F]|3[A-F]|40|5[B-F]|60|7[B-E]|[89A-F][0-9A-F]|0[9AD]|\r?\n)/
const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text)
const firstSign = /[^\0-\x7f]|[%\\&=]/
/** If it matches, the text is quoted-printable: no query string looks like this. */
const surelyQuotedPrintable = /=(?:3D|0A|0D|\r?\n|[C-F][0-9A-F]=[89AB][0-9A-F])/

const PERCENT = 0x25
const AMPERSAND = 0x26
const EQUALS = 0x3d
const BACKSLASH = 0x5c
const SEMICOLON = 0x3b
const CLOSING_BRACE = 0x7d
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const NO_BREAK_SPACE_BYTE = 0xa0

/** A byte that is not (yet) part of a character in UTF-8 stands as a lone surrogate, 0xDC80 to 0xDCFF. */
const BYTE = 0xdc00
const LONGEST_ENTITY = 12

/** The character that a backslash and the letter encode. */
const letterEscapes: Readonly<Record<number, number>> = {
  [0x62]: 0x08, // b
  [0x66]: 0x0c, // f
  [0x6e]: LINE_FEED, // n
  [0x72]: CARRIAGE_RETURN, // r
  [0x74]: 0x09, // t
  [0x76]: 0x0b // v
}

const hexValue = (digit: number): number => (digit < 0x40 ? digit - 0x30 : (digit & 0x5f) - 0x37)
/** By value: what {@link quotedPrintableSign} finds after `=`. */
const quotedPrintableBytes = new Uint8Array(256).map((_, value) =>
  quotedPrintableSign.test(`=${value.toString(16).toUpperCase().padStart(2, '0')}`) ? 1 : 0
)
const isCapitalHex = (code: number): boolean => code < 0x61

/**
 * `web`: percent encoding, backslash escapes and HTML character references, one in the other in any order and depth.
 * `web and mail`: quoted-printable as well. `none`: only the characters' canonical forms.
 *
 * It is a shift-reduce parser: each character goes onto a stack, and when the top of the stack is an encoded
 * character, that becomes one character, which may complete the next: `%2540` becomes `%40` becomes `@`. Every
 * reduction makes the stack smaller, so the time is linear.
 */
export function decode(source: string, encodings: 'none' | 'web' | 'web and mail'): Reading {
  const quotedPrintable = encodings === 'web and mail'
  const isLiteral = encodings === 'none'
  const plain = source.search(firstSign) // nothing before it is encoded
  if (plain === -1 || !(isLiteral ? !isAscii(source) : isEncoded(source, quotedPrintable)))
    return plainReading(source)
  const codes = new Uint16Array(source.length - plain)
  const starts = new Uint32Array(source.length - plain)
  const ends = new Uint32Array(source.length - plain)
  let size = 0

  function push(code: number, start: number, end: number): void {
    codes[size] = code
    starts[size] = start
    ends[size] = end
    size++
  }

  /** Pushes a character, and reduces what it completes. */
  function shift(code: number, start: number, end: number): void {
    const canonical = code < 0x80 ? code : (CANONICAL[code] ?? code)
    if (canonical === INVISIBLE && code !== 0) return
    push(canonical, start, end)
    if (code >= 0xdc00 && code <= 0xdfff) joinDigit()
    else if (!isLiteral) reduce(canonical)
  }

  /** The last `count` characters of the stack become one. */
  function replace(count: number, code: number): void {
    const end = ends[size - 1] ?? 0
    size -= count
    const start = starts[size] ?? 0
    if (code === 0x2b) push(SURE_PLUS, start, end)
    else if (code < 0x10000) shift(code, start, end)
    else {
      shift(0xd800 + ((code - 0x10000) >> 10), start, end)
      shift(0xdc00 + (code & 0x3ff), start, end)
    }
  }

  function joinDigit(): void {
    const digit = pairedDigit(codes[size - 2] ?? 0, codes[size - 1] ?? 0)
    if (digit !== -1) replace(2, 0x30 + digit)
  }

  function reduce(last: number): void {
    if (size === 1) return
    const before = codes[size - 2] ?? 0
    if (before === BACKSLASH) backslashEscape(last)
    else if (HEX[last] === 1) {
      if (HEX[before] === 1) hex(last, before)
    } else if (last === SEMICOLON) entity()
    else if (last === LINE_FEED && quotedPrintable) softLineBreak(before)
    else if (last === CLOSING_BRACE) bracedEscape()
  }

  function backslashEscape(last: number): void {
    const escaped = PUNCTUATION[last] === 1 ? last : letterEscapes[last]
    if (escaped !== undefined) replace(2, escaped)
  }

  const isQuotedPrintable = (value: number, high: number, low: number): boolean =>
    quotedPrintable && quotedPrintableBytes[value] === 1 && isCapitalHex(high) && isCapitalHex(low)

  /** `%40`, `=40`, `\x40`, `\u0040` */
  function hex(last: number, before: number): void {
    const sign = codes[size - 3] ?? 0
    const value = hexValue(before) * 16 + hexValue(last)
    if (sign === PERCENT || (sign === EQUALS && isQuotedPrintable(value, before, last))) {
      if (value < 0x80) replace(3, value)
      else byte(value)
    } else if (sign === 0x78 && codes[size - 4] === BACKSLASH) {
      replace(4, value)
    } else if (codes[size - 5] === 0x75 && codes[size - 6] === BACKSLASH && HEX[sign] === 1) {
      const high = codes[size - 4] ?? 0
      if (HEX[high] === 1) replace(6, ((hexValue(high) * 16 + hexValue(sign)) << 8) | value)
    }
  }

  /** The last three characters are a byte of a character in UTF-8, perhaps the last one. */
  function byte(value: number): void {
    const end = ends[size - 1] ?? 0
    size -= 3
    const continuesCharacter = value < 0xc0 && isByte(size - 1)
    const code = value === NO_BREAK_SPACE_BYTE && !continuesCharacter ? SPACE : BYTE | value
    codes[size] = code
    ends[size] = end // it starts where its percent sign stood
    size++
    if (!continuesCharacter) return
    let first = size - 2
    while (first > size - 4 && isByte(first) && ((codes[first] ?? 0) & 0xff) < 0xc0) first--
    if (!isByte(first)) return
    const lead = (codes[first] ?? 0) & 0xff
    const count = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0
    if (size - first !== count) return
    let codePoint = lead & (0xff >> (count + 1))
    for (let index = first + 1; index < size; index++)
      codePoint = (codePoint << 6) | ((codes[index] ?? 0) & 0x3f)
    if (codePoint <= 0x10ffff) replace(count, codePoint)
  }

  const isByte = (index: number): boolean => {
    const code = codes[index] ?? 0
    return index >= 0 && code >= 0xdc80 && code <= 0xdcff && ((codes[index - 1] ?? 0) & 0xfc00) !== 0xd800
  }

  /** `&#64;`, `&commat;` */
  function entity(): void {
    let first = size - 2
    while (first >= 0 && first > size - LONGEST_ENTITY && codes[first] !== AMPERSAND) {
      const code = codes[first] ?? 0
      if (LETTER[code] !== 1 && !(code >= 0x30 && code <= 0x39) && code !== 0x23) return
      first--
    }
    if (first < 0 || codes[first] !== AMPERSAND) return
    const codePoint = entityCodePoint(String.fromCharCode(...codes.subarray(first + 1, size - 1)))
    if (codePoint !== undefined) replace(size - first, codePoint)
  }

  /** `\u{40}` */
  function bracedEscape(): void {
    let first = size - 2
    while (first > 1 && first > size - 9 && HEX[codes[first] ?? 0] === 1) first--
    if (first < 2 || first === size - 2 || codes[first] !== 0x7b || codes[first - 1] !== 0x75) return
    if (codes[first - 2] !== BACKSLASH) return
    const codePoint = Number.parseInt(String.fromCharCode(...codes.subarray(first + 1, size - 1)), 16)
    if (codePoint <= 0x10ffff) replace(size - first + 2, codePoint)
  }

  /** Quoted-printable: a line that ends with `=` goes on in the next. */
  function softLineBreak(before: number): void {
    const sign = before === CARRIAGE_RETURN ? 3 : 2
    if (size >= sign && codes[size - sign] === EQUALS) size -= sign
  }

  for (let index = plain; index < source.length; index++) {
    const code = source.charCodeAt(index)
    if (code < 0x80 && completes[code] === 0 && codes[size - 1] !== BACKSLASH) push(code, index, index + 1)
    else shift(code, index, index + 1)
  }
  const decoded = Buffer.from(codes.buffer, 0, size * 2).toString('utf16le')
  return {
    source,
    text: source.slice(0, plain) + decoded,
    start: index => (index < plain ? index : (starts[index - plain] ?? source.length)),
    end: index => (index < plain ? index + 1 : (ends[index - plain] ?? source.length))
  }
}

/** The last characters of encoded ones, except those that a backslash precedes directly. */
const completes = HEX.slice()
for (const character of ';\n}') completes[character.charCodeAt(0)] = 1

const isEncoded = (text: string, mail: boolean): boolean =>
  encoded.test(text) || (mail && quotedPrintableSign.test(text))

/** A quick test: if true, nothing in the text is encoded, and it has one reading, itself. */
export const isPlainText = (text: string): boolean => !firstSign.test(text)

/**
 * The ways to read a text, the likeliest first. There can be more than one: `=41` may be quoted-printable for an A, or
 * the start of a card number in a query string.
 */
export function readingsOf(text: string): readonly Reading[] {
  const decoded = decode(text, 'web')
  if (!text.includes('=') || !quotedPrintableSign.test(text)) return [decoded]
  const asMail = decode(text, 'web and mail')
  return surelyQuotedPrintable.test(text) ? [asMail, decoded] : [decoded, asMail]
}
