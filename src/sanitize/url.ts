import { isAlphanumeric } from './char-class.ts'
import { decode, type Reading } from './decoded-text.ts'
import { type Find, inSource, replaceFinds } from './finds.ts'
import { REDACTED } from './redacted.ts'
import { announcesToken, isToken } from './url-token.ts'

/** In text, a URL ends at a space, quote or angle bracket. */
const delimiterInText = /[/?#\s"<>\\]/g
const delimiterInUrl = /[/?#]/g
const scheme = /^\s*(?:[a-z][a-z0-9+.-]*:)?/i
/** Browsers read an address after these schemes with any number of slashes, also with backslashes. */
const looseAuthority = /^\s*(?:https?|wss?|ftp):(?!\/\/)[/\\]*/i
/** Punctuation after a URL in a sentence. */
const sentenceMark = ".,;:!?)]}|'`"

function indexOfDelimiter(delimiter: RegExp, text: string, from: number): number {
  delimiter.lastIndex = from
  return delimiter.exec(text)?.index ?? text.length
}

/** The colon before `index` ends a scheme. */
const isAfterScheme = (text: string, index: number): boolean =>
  text.charAt(index - 1) === ':' && index > 1 && isAlphanumeric(text, index - 2)

/**
 * Finds user info and tokens in the URL that continues at `from`, after its scheme, and in a URL in its path. Returns the
 * end of its path.
 */
function readUrl(text: string, from: number, delimiter: RegExp, finds: Find[]): number {
  let isAnnounced = false
  for (let index = from; ; ) {
    const isAuthority = text.startsWith('//', index) && (index === from || isAfterScheme(text, index))
    const start = isAuthority ? index + 2 : text.charAt(index) === '/' ? index + 1 : index
    const end = indexOfDelimiter(delimiter, text, start)
    if (isAuthority) findUserInfo(text, start, end, finds)
    else if (!(text.startsWith('//', end) && isAfterScheme(text, end))) {
      const segment = withoutSentenceMarks(text.slice(start, end))
      if (isToken(segment, isAnnounced))
        finds.push({ from: start, to: start + segment.length, mask: REDACTED })
      isAnnounced ||= announcesToken(segment)
    }
    if (text.charAt(end) !== '/') return end
    index = end
  }
}

function findUserInfo(text: string, from: number, to: number, finds: Find[]): void {
  const at = text.slice(from, to).lastIndexOf('@')
  // `ssh://git@…` names a service, not a person.
  if (at !== -1 && text.slice(from, from + at) !== 'git') finds.push({ from, to: from + at + 1, mask: '' })
}

function withoutSentenceMarks(segment: string): string {
  let end = segment.length
  while (end > 0 && sentenceMark.includes(segment.charAt(end - 1))) end--
  return segment.slice(0, end)
}

/** User info and token-like path segments of every URL with a scheme, in the order in which they stand. */
export function findInUrls({ text }: Reading): Find[] {
  const finds: Find[] = []
  let colon = text.indexOf('://')
  while (colon !== -1) {
    const isUrl = colon > 0 && isAlphanumeric(text, colon - 1)
    const end = isUrl ? readUrl(text, colon + 1, delimiterInText, finds) : colon + 3
    colon = text.indexOf('://', end)
  }
  return finds
}

/**
 * A URL without user info, query, fragment and token-like path segments (see {@link isToken}): with a scheme or
 * without, a path, or percent-encoded as a whole. Idempotent. Never throws: anything else counts as a path.
 */
export function cleanUrl(url: string): string {
  const reading = decode(url, 'web')
  const query = reading.text.search(/[?#]/)
  const path = query === -1 ? reading.text : reading.text.slice(0, query)
  const finds: Find[] = []
  let from = scheme.exec(path)?.[0].length ?? 0
  const loose = looseAuthority.exec(path)?.[0].length
  if (loose !== undefined) {
    from = indexOfDelimiter(delimiterInUrl, path, loose)
    // With no host after it, what follows would be read as an authority the next time.
    if (/@[^@/\\]+$/.test(path.slice(loose, from))) findUserInfo(path, loose, from, finds)
  }
  readUrl(path, from, delimiterInUrl, finds)
  const end = query === -1 ? url.length : reading.start(query)
  return replaceFinds(url.slice(0, end), inSource(reading, finds))
}
