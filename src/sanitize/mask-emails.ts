// Tested by test/sanitize/mask-text.test.ts
import { DIGIT, isBeyondAsciiWord, LETTER } from './char-class.ts'
import type { Reading } from './decoded-text.ts'
import type { Find } from './finds.ts'

const somethingToRead = /[^\s!-/:-@[-`{-~]/
const addressLiteral = /\[(?:IPv6:)?[0-9a-f.:]{2,45}\]/iy

/** Characters of an unquoted local part (RFC 5322 atext and the dot) below U+0080. */
const localCharacters = new Set("!#$%&'*+-./=?^_`{|}~")
/** Never the first character of an address, but what text and URLs put right before one. */
const leadingPunctuation = new Set("'`{|=&?#*/")
/** What parts addresses from what stands before them in a URL, if it is not encoded. */
const delimiters = new Set('/?&#=')
const parameterName = /[\w.[\]-]{1,64}=/y

/** `ada@example.com.png`: no top-level domain has such a name. */
const fileExtension =
  /\.(?:png|jpe?g|gif|webp|avif|svg|bmp|ico|heic|tiff?|pdf|css|[cm]?js|[jt]sx|json|html?|xml|ya?ml|csv|tsv|txt|log|eml|ics|vcf|gz|tgz|bz2|xz|7z|rar|tar|jar|whl|exe|woff2?|ttf|otf|mp[34]|webm|docx?|xlsx?|pptx?)$/i
/** `hero@2x.png`, `hero@2x-dark.min.png`, without the extension. */
const pixelDensity = /^\d+(?:\.\d+)?x(?:[-.]|$)/i
/** `lodash@4.17.21`, `checkout@v4.1.0-beta.2`, `node@18.x` */
const version = /^v?\d+\.(?:\d|x(?:\.|$))[^.]*(?:\.\d.*|\.[^.]*)?$/i
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.|$)){4}$/

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

/** The end of the name that starts at `start` (at least two labels, or an address literal), or -1. */
function nameEnd(text: string, start: number): number {
  addressLiteral.lastIndex = start
  if (addressLiteral.test(text)) return addressLiteral.lastIndex
  let end = -1
  for (let labels = 0, index = start; ; labels++) {
    const label = index
    while (index < text.length && isLabel(text, index)) index++
    if (index === label) return labels >= 2 ? end : -1
    end = index
    while (text.charAt(index) === '.') index++
    if (index === end) return labels >= 1 ? end : -1
  }
}

/** The end of the domain that starts at `start`, or -1: file names and versions are not domains. */
function domainEnd(text: string, start: number): number {
  const end = nameEnd(text, start)
  if (end === -1) return -1
  const name = text.slice(start, end)
  const extension = fileExtension.exec(name)?.[0] ?? ''
  const domain = name.slice(0, name.length - extension.length)
  if (extension !== '' && (!domain.includes('.') || pixelDensity.test(domain))) return -1
  return version.test(domain) && !ipv4.test(domain) ? -1 : start + domain.length
}

/** How long the character is in the source: more than 1 if it is encoded. */
const width = (reading: Reading, index: number): number => reading.end(index) - reading.start(index)

/** `"ada lovelace"@…`: back to the opening quote, over up to three escaped ones. -1: not a quoted local part. */
function quotedStart(reading: Reading, closingQuote: number, floor: number): number {
  const { text } = reading
  const quoteWidth = width(reading, closingQuote)
  let opening = closingQuote
  for (let escaped = 0; escaped < 4; escaped++) {
    const before = opening === 0 ? -1 : text.lastIndexOf('"', opening - 1)
    if (before < floor) break
    opening = before
    if (width(reading, opening) <= quoteWidth) break
  }
  const quoted = text.slice(opening, closingQuote)
  // Something to read must stand between the quotes: in `"to":"@ada.example"` only a colon does. An address
  // among them was masked on its own, and a second pass must not see more in it than the first.
  return somethingToRead.test(quoted) && !quoted.includes('[EMAIL]') ? opening : -1
}

/**
 * The start of the local part that ends at `end`, or `end` if there is none. `floor`: the end of the at sign before; no
 * local part reaches beyond it, so all scans together pass over the text once.
 */
function localStart(reading: Reading, end: number, floor: number, masked: number): number {
  const { text } = reading
  if (text.charAt(end - 1) === '"' && end - 1 >= masked) {
    const quoted = quotedStart(reading, end - 1, masked)
    return quoted === -1 ? end : quoted
  }
  let start = end
  while (start > floor && isLocal(text, start - 1)) start--
  if ('/?&#'.includes(text.charAt(end - 1))) return end
  start = afterDelimiters(reading, start, end)
  while (start < end && leadingPunctuation.has(text.charAt(start))) start++
  return start
}

/**
 * In a URL, `/`, `?`, `&` and a parameter's name stand before the address; elsewhere they may belong to it. If the at
 * sign is percent-encoded, all of the address is, so that bare delimiters are not in it.
 */
function afterDelimiters(reading: Reading, start: number, end: number): number {
  const { text } = reading
  const isEncoded = reading.source.charAt(reading.start(end)) === '%'
  if (!isEncoded && text.charAt(start) !== '/') return start
  let segment = end
  let pluses = 0
  let lastPlus = start
  while (segment > start) {
    const character = text.charAt(segment - 1)
    const isBare = width(reading, segment - 1) === 1
    if (delimiters.has(character) && (isEncoded ? isBare : character !== '=')) break
    segment--
    if (character === '+' && isBare && pluses++ === 0) lastPlus = segment + 1
  }
  if (isEncoded) return pluses > 1 ? lastPlus : segment // words of a form, with a plus for each space
  if (!'?&'.includes(text.charAt(segment - 1))) return segment
  parameterName.lastIndex = segment
  return parameterName.test(text) && parameterName.lastIndex < end ? parameterName.lastIndex : segment
}

/** `git@github.com:org/repository` names a repository, not a person. */
function isRepository(text: string, at: number, end: number): boolean {
  const isGit = text.startsWith('git', at - 3) && !(at > 3 && /[\w.+-]/.test(text.charAt(at - 4)))
  return isGit && (text.charAt(end) === ':' || text.charAt(end) === '/')
}

/** E-mail addresses, in the order in which they stand. Time grows linearly with the text. */
export function findEmails(reading: Reading): Find[] {
  const { text } = reading
  const finds: Find[] = []
  let masked = 0
  let floor = 0
  for (const at of text.matchAll(/@+/g)) {
    const afterAt = at.index + at[0].length
    const end = at.index < masked ? -1 : domainEnd(text, afterAt)
    if (end !== -1) {
      const from = localStart(reading, at.index, Math.max(floor, masked), masked)
      if (from < at.index && !isRepository(text, at.index, end)) {
        finds.push({ from, to: end, mask: '[EMAIL]' })
        masked = end
      }
    }
    floor = afterAt
  }
  return finds
}
