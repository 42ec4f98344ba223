import { DIGIT, isBeyondAsciiWord, LETTER } from './characters.ts'

/** `@` as it stands in text, in a URL, in JSON inside a string, in HTML, and in East Asian full width. */
const atSign = /[@\uff20\ufe6b]+|%(?:25){0,3}40|\\u0040|&#(?:64|x40);|&commat;/gi
const atSignHere = new RegExp(`^(?:${atSign.source})`, 'i')
const somethingToRead = /[^\s!-/:-@[-`{-~]/
const addressLiteral = /\[(?:IPv6:)?[0-9a-f.:]{2,45}\]/iy
const encodedDot = /%2e/iy

/** Characters of an unquoted local part (RFC 5322 atext and the dot) below U+0080. */
const localCharacters = new Set("!#$%&'*+-./=?^_`{|}~")
/** Never the first character of somebody's address, but what text and URLs put right before one. */
const leadingPunctuation = new Set("'`{|=&?#*/")

function isLocal(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  if (code >= 0x80) return isBeyondAsciiWord(text, index)
  return DIGIT[code] === 1 || LETTER[code] === 1 || localCharacters.has(text.charAt(index))
}

function isLabel(text: string, index: number): boolean {
  const code = text.charCodeAt(index)
  if (code >= 0x80) return isBeyondAsciiWord(text, index)
  return DIGIT[code] === 1 || LETTER[code] === 1 || code === 0x2d || code === 0x5f
}

/** The index after a dot (also the ideographic ones, and `%2E`) at `index`, or `index` where there is none. */
function afterDot(text: string, index: number): number {
  const character = text.charAt(index)
  if (character === '.' || character === '\u3002' || character === '\uff0e' || character === '\uff61') {
    return index + 1
  }
  if (character !== '%') return index
  encodedDot.lastIndex = index
  return encodedDot.test(text) ? index + 3 : index
}

/** The end of the domain that starts at `start` (at least two labels, or an address literal), or -1. */
function domainEnd(text: string, start: number): number {
  addressLiteral.lastIndex = start
  if (addressLiteral.test(text)) return addressLiteral.lastIndex
  let end = -1
  for (let labels = 0, index = start; ; labels++) {
    const label = index
    while (index < text.length && isLabel(text, index)) index++
    if (index === label) return labels >= 2 ? end : -1
    end = index
    let dot = afterDot(text, index)
    while (dot > index) {
      index = dot
      dot = afterDot(text, index)
    }
    if (index === end) return labels >= 1 ? end : -1
  }
}

/** `"ada lovelace"@…`: back to the opening quote, over up to three escaped ones. -1: not a quoted local part. */
function quotedStart(text: string, closingQuote: number, floor: number): number {
  let opening = closingQuote
  for (let escaped = 0; escaped < 4; escaped++) {
    const before = opening === 0 ? -1 : text.lastIndexOf('"', opening - 1)
    if (before < floor) break
    opening = before
    if (text.charAt(opening - 1) !== '\\') break
  }
  const quoted = text.slice(opening, closingQuote)
  // Something to read must stand between the quotes: in `"to":"@ada.example"` only a colon does. An address
  // among them was masked on its own, and a second pass must not see more in it than the first.
  return somethingToRead.test(quoted) && !quoted.includes('[EMAIL]') ? opening : -1
}

/**
 * The start of the local part that ends at `end`, or `end` where there is none. `floor`: the end of the at
 * sign before; no local part reaches beyond it, so all scans together pass over the text once.
 */
function localStart(text: string, end: number, floor: number, masked: number): number {
  if (text.charAt(end - 1) === '"' && end - 1 >= masked) {
    const quoted = quotedStart(text, end - 1, masked)
    return quoted === -1 ? end : quoted
  }
  let start = end
  while (start > floor && isLocal(text, start - 1)) start--
  if ('/?&#'.includes(text.charAt(end - 1))) return end
  // In a URL or a path, `/`, `?` and `&` part what stands there; elsewhere they may belong to the address.
  if (text.charAt(start) === '/') {
    let segment = end
    while (segment > start && !'/?&#'.includes(text.charAt(segment - 1))) segment--
    start = segment
  }
  while (start < end && leadingPunctuation.has(text.charAt(start))) start++
  return start
}

/** The string in quotes that ends before `end` is the local part of an address that goes on there. */
export function isQuotedLocalPart(content: string, text: string, end: number): boolean {
  const at = atSignHere.exec(text.slice(end, end + 12))
  return at !== null && somethingToRead.test(content) && domainEnd(text, end + at[0].length) !== -1
}

/** Every e-mail address in `text` becomes `[EMAIL]`. Time grows linearly with the text. */
export function maskEmails(text: string): string {
  let result = ''
  let masked = 0
  let floor = 0
  for (const at of text.matchAll(atSign)) {
    const afterAt = at.index + at[0].length
    const end = at.index < masked ? -1 : domainEnd(text, afterAt)
    if (end !== -1) {
      const start = localStart(text, at.index, Math.max(floor, masked), masked)
      if (start < at.index) {
        result += `${text.slice(masked, start)}[EMAIL]`
        masked = end
      }
    }
    floor = afterAt
  }
  return masked === 0 ? text : result + text.slice(masked)
}
