import { CANONICAL, HEX, INVISIBLE, LETTER, PUNCTUATION, pairedDigit, SURE_PLUS } from './characters.ts'
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
const quotedPrintableSign = /=(?:[0-9A-F]{2}|\r?\n)/
/** No query string looks like it: then the text is quoted-printable. */
const surelyQuotedPrintable = /=(?:3D|0A|0D|\r?\n|[C-F][0-9A-F]=[89AB][0-9A-F])/

const PERCENT = 0x25
const AMPERSAND = 0x26
const EQUALS = 0x3d
const BACKSLASH = 0x5c
const SEMICOLON = 0x3b
const LINE_FEED = 0x0a
const CARRIAGE_RETURN = 0x0d
const SPACE = 0x20
const NO_BREAK_SPACE_BYTE = 0xa0

/** A byte that is not (yet) part of a character in UTF-8 stands as a lone surrogate, 0xDC80 to 0xDCFF. */
const BYTE = 0xdc00
const LONGEST_ENTITY = 12

/** What a backslash and the letter stand for. */
const letterEscapes: Readonly<Record<number, number>> = {
  [0x62]: 0x08, // b
  [0x66]: 0x0c, // f
  [0x6e]: LINE_FEED, // n
  [0x72]: CARRIAGE_RETURN, // r
  [0x74]: 0x09, // t
  [0x76]: 0x0b // v
}

const isHex = (code: number | undefined): boolean => code !== undefined && HEX[code] === 1
const isCapitalHex = (code: number | undefined): boolean => isHex(code) && (code ?? 0) < 0x61
const isHigh = (code: number | undefined): boolean => code !== undefined && code >= 0xd800 && code <= 0xdbff
const hexValue = (code: number | undefined): number => {
  const digit = code ?? 0
  return digit < 0x40 ? digit - 0x30 : (digit & 0x5f) - 0x37
}

/**
 * Percent encoding, backslash escapes, HTML character references and, where asked for, quoted-printable, one in the
 * other in any order and depth.
 *
 * It is a shift-reduce parser: each character goes onto a stack, and when the top of the stack is an encoded
 * character, that becomes one character, which may complete the next: `%2540` becomes `%40` becomes `@`. Every
 * reduction makes the stack smaller, so the time is linear.
 */
export function decode(source: string, quotedPrintable: boolean): Reading {
  if (!encoded.test(source) && !(quotedPrintable && quotedPrintableSign.test(source)))
    return plainReading(source)
  const codes = new Uint16Array(source.length)
  const starts = new Uint32Array(source.length)
  const ends = new Uint32Array(source.length)
  let size = 0

  /** Puts a character on the stack, in the place of everything from `start` on. */
  function put(code: number, start: number, end: number, encoded: boolean): void {
    let canonical = code < 0x80 ? code : (CANONICAL[code] ?? code)
    if (canonical === INVISIBLE && code !== 0) return
    if (encoded && canonical === 0x2b) canonical = SURE_PLUS
    codes[size] = canonical
    starts[size] = start
    ends[size] = end
    size++
    if (code >= 0xdc00 && code <= 0xdfff) joinDigit()
    else reduce()
  }

  /** The last `count` characters of the stack become one. */
  function replace(count: number, code: number): void {
    const end = ends[size - 1] ?? 0
    size -= count
    const start = starts[size] ?? 0
    if (code >= 0x10000) {
      const rest = code - 0x10000
      put(0xd800 + (rest >> 10), start, end, true)
      put(0xdc00 + (rest & 0x3ff), start, end, true)
    } else put(code, start, end, true)
  }

  function joinDigit(): void {
    const digit = pairedDigit(codes[size - 2] ?? 0, codes[size - 1] ?? 0)
    if (digit !== -1) replace(2, 0x30 + digit)
  }

  function reduce(): void {
    const last = codes[size - 1] ?? 0
    const before = codes[size - 2]
    if (before === BACKSLASH && size > 1) backslashEscape(last)
    else if (HEX[last] === 1) hex(last, before)
    else if (last === SEMICOLON) entity()
    else if (last === LINE_FEED && quotedPrintable) softLineBreak(before)
    else if (last === 0x7d) bracedEscape()
  }

  function backslashEscape(last: number): void {
    const escaped = PUNCTUATION[last] === 1 ? last : letterEscapes[last]
    if (escaped !== undefined) replace(2, escaped)
  }

  /** `%40`, `=40`, `\x40`, `\u0040` */
  function hex(last: number, before: number | undefined): void {
    if (size < 3 || !isHex(before)) return
    const sign = codes[size - 3]
    const value = hexValue(before) * 16 + hexValue(last)
    if (
      sign === PERCENT ||
      (sign === EQUALS && quotedPrintable && isCapitalHex(before) && isCapitalHex(last))
    ) {
      if (value < 0x80) replace(3, value)
      else byte(value)
    } else if (sign === 0x78 && size >= 4 && codes[size - 4] === BACKSLASH) {
      replace(4, value)
    } else if (size >= 6 && codes[size - 6] === BACKSLASH && codes[size - 5] === 0x75) {
      const high = codes[size - 4]
      if (isHex(high) && isHex(sign)) replace(6, ((hexValue(high) * 16 + hexValue(sign)) << 8) | value)
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
    return index >= 0 && code >= 0xdc80 && code <= 0xdcff && !(index > 0 && isHigh(codes[index - 1]))
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
    while (first > 1 && first > size - 9 && isHex(codes[first])) first--
    if (first < 2 || first === size - 2 || codes[first] !== 0x7b || codes[first - 1] !== 0x75) return
    if (codes[first - 2] !== BACKSLASH) return
    const codePoint = Number.parseInt(String.fromCharCode(...codes.subarray(first + 1, size - 1)), 16)
    if (codePoint <= 0x10ffff) replace(size - first + 2, codePoint)
  }

  /** Quoted-printable: a line that ends with `=` goes on in the next. */
  function softLineBreak(before: number | undefined): void {
    const sign = before === CARRIAGE_RETURN ? 3 : 2
    if (size >= sign && codes[size - sign] === EQUALS) size -= sign
  }

  for (let index = 0; index < source.length; index++) put(source.charCodeAt(index), index, index + 1, false)
  return {
    source,
    text: Buffer.from(codes.buffer, 0, size * 2).toString('utf16le'),
    start: index => starts[index] ?? source.length,
    end: index => ends[index] ?? source.length
  }
}

/**
 * The ways to read a text, the likeliest first. There can be more than one: `=41` may be quoted-printable for an A, or
 * the start of a card number in a query string.
 */
export function readingsOf(text: string): readonly Reading[] {
  const decoded = decode(text, false)
  if (!quotedPrintableSign.test(text)) return [decoded]
  const asMail = decode(text, true)
  return surelyQuotedPrintable.test(text) ? [asMail, decoded] : [decoded, asMail]
}
