import { CANONICAL, DIGIT, HEX, LETTER, PUNCTUATION, pairedDigit, SURE_PLUS } from './characters.ts'

/** A social security number has nine digits in three groups; telephone numbers of fewer have a plus. */
const GROUPED_DIGITS = 9
/** In one group: a number dialled with `00` has at least so many, a card number more. */
const UNGROUPED_DIGITS = 12

/**
 * The cheap test before the expensive ones: if it is false, no mask would change the text. Nearly every string of an
 * event holds neither an at sign or a plus, nor an encoded character, nor nine digits without a letter between them.
 * Digits that follow a letter directly are part of an id or a digest, unless more groups of them come.
 */
export function mayBePersonal(text: string): boolean {
  let digits = 0 // since the last letter
  let groups = 0
  let afterLetter = false // the group of digits we are in
  let inGroup = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (LETTER[code] === 1) {
      digits = groups = 0
      afterLetter = true
      inGroup = false
    } else if (DIGIT[code] === 1 || (code >= 0x80 && isDigitBeyondAscii(text, index, code))) {
      if (!inGroup) groups++
      inGroup = true
      digits++
      if (groups > 1 ? digits >= GROUPED_DIGITS : digits >= UNGROUPED_DIGITS && !afterLetter) return true
    } else {
      afterLetter = inGroup = false
      if (isSuspectSign(text, index, code < 0x80 ? code : (CANONICAL[code] ?? code))) return true
    }
  }
  return false
}

function isDigitBeyondAscii(text: string, index: number, code: number): boolean {
  const canonical = CANONICAL[code] ?? code
  if (canonical >= 0x30 && canonical <= 0x39) return true
  return index > 0 && pairedDigit(text.charCodeAt(index - 1), code) !== -1
}

/** A sign of an address or number, or the start of an encoded character. */
function isSuspectSign(text: string, index: number, canonical: number): boolean {
  switch (canonical) {
    case 0x40: // @
    case 0x2b: // +
    case SURE_PLUS:
      return true
    case 0x3a: // ://
      return isAt(text, index + 1, slash) && isAt(text, index + 2, slash)
    case 0x25: // %40
      return isAt(text, index + 1, HEX) && isAt(text, index + 2, HEX)
    case 0x3d: // =40, or = at the end of a line
      return isAt(text, index + 1, lineEnd) || (isAt(text, index + 1, HEX) && isAt(text, index + 2, HEX))
    case 0x5c: // \n, \u0040
      return isAt(text, index + 1, PUNCTUATION) || isAt(text, index + 1, LETTER)
    case 0x26: // &#64;
      return maybeEntity.test(text.slice(index, index + 14))
    default:
      return false
  }
}

const slash = new Uint8Array(128)
slash[0x2f] = 1
const lineEnd = new Uint8Array(128)
lineEnd[0x0a] = lineEnd[0x0d] = 1
const maybeEntity = /^&[#\w]*(?:;|[^\0-\x7f])/

/** A character of the table, or one beyond ASCII, which may count as one or be invisible. */
function isAt(text: string, index: number, table: Uint8Array): boolean {
  const code = text.charCodeAt(index)
  return code >= 0x80 || table[code] === 1
}
