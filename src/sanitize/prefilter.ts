// Tested by test/sanitize/text-properties.test.ts
import { CANONICAL, DIGIT, HEX, LETTER, PUNCTUATION, pairedDigit, SURE_PLUS } from './char-class.ts'

/** A social security number has nine digits in three groups; telephone numbers of fewer have a plus. */
const GROUPED_DIGITS = 9
/** In one group: a number dialled with `00` has at least this many, a card number more. */
const UNGROUPED_DIGITS = 12

const IS_DIGIT = 1
const IS_LETTER = 2
/** A sign of an address or number, or the start of an encoded character. */
const IS_SIGN = 3
const classes = new Uint8Array(128).map((_, code) =>
  DIGIT[code] === 1
    ? IS_DIGIT
    : LETTER[code] === 1
      ? IS_LETTER
      : '@+:%=\\&'.includes(String.fromCharCode(code))
        ? IS_SIGN
        : 0
)

const COLON = 0x3a
/** In a URL: a long segment, or a word that announces a token (see url-token.ts). */
const mayHoldToken =
  /[^/?#\s]{20}|activat|confirm|invit|magic|otp|passw|recover|reset|token|unsubscribe|verif|[^\0-\x7f]/i

/**
 * The cheap test before the expensive ones: if it is false, no mask would change the text. Nearly every string of an
 * event holds neither an at sign or a plus, nor an encoded character, nor nine digits without a letter between them.
 * Digits that follow a letter directly are part of an id or a digest, unless more groups of them come.
 */
export function mayBePersonal(text: string): boolean {
  let digits = 0 // since the last letter
  let groups = 0
  let before = 0 // the class of the character before
  let afterLetter = false // the group of digits we are in
  let hasUrl = false
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    const kind = code < 0x80 ? classes[code] : classBeyondAscii(text, index, code)
    if (kind === IS_LETTER) digits = groups = 0
    else if (kind === IS_DIGIT) {
      if (before !== IS_DIGIT) {
        groups++
        afterLetter = before === IS_LETTER
      }
      digits++
      if (digits >= GROUPED_DIGITS && (groups > 1 || (digits >= UNGROUPED_DIGITS && !afterLetter)))
        return true
    } else if (kind === IS_SIGN) {
      if ((code < 0x80 ? code : CANONICAL[code]) !== COLON) {
        if (isSuspect(text, index, code)) return true
      } else if (!hasUrl && isAt(text, index + 1, slash) && isAt(text, index + 2, slash)) {
        hasUrl = true
        if (mayHoldToken.test(text.slice(index + 3))) return true
      }
    }
    before = kind ?? 0
  }
  return false
}

function classBeyondAscii(text: string, index: number, code: number): number {
  const canonical = CANONICAL[code] ?? code
  if (canonical === SURE_PLUS) return IS_SIGN
  if (canonical < 0x80) return classes[canonical] === IS_LETTER ? 0 : (classes[canonical] ?? 0)
  return index > 0 && pairedDigit(text.charCodeAt(index - 1), code) !== -1 ? IS_DIGIT : 0
}

function isSuspect(text: string, index: number, code: number): boolean {
  switch (code < 0x80 ? code : (CANONICAL[code] ?? code)) {
    case 0x25: // %40
      return isAt(text, index + 1, HEX) && isAt(text, index + 2, HEX)
    case 0x3d: // =40, or = at the end of a line
      return isAt(text, index + 1, lineEnd) || (isAt(text, index + 1, HEX) && isAt(text, index + 2, HEX))
    case 0x5c: // \n, \u0040
      return isAt(text, index + 1, PUNCTUATION) || isAt(text, index + 1, LETTER)
    case 0x26: // &#64;
      return maybeEntity.test(text.slice(index, index + 14))
    default: // @ +
      return true
  }
}

const tableOf = (characters: string): Uint8Array =>
  new Uint8Array(128).map((_, code) => (characters.includes(String.fromCharCode(code)) ? 1 : 0))
const slash = tableOf('/')
const lineEnd = tableOf('\r\n')
const maybeEntity = /^&[#\w]*(?:;|[^\0-\x7f])/

/** A character of the table, or one beyond ASCII, which may count as one or be invisible. */
function isAt(text: string, index: number, table: Uint8Array): boolean {
  const code = text.charCodeAt(index)
  return code >= 0x80 || table[code] === 1
}
