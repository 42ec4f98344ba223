// Tested by test/sanitize/url.test.ts
/** Shorter ones are ids, codes and names. */
const MIN_TOKEN_LENGTH = 20
/** After a segment such as `reset`. */
const MIN_ANNOUNCED_LENGTH = 6

const piece = /[A-Za-z0-9]+/g
/** A word (`shoes`, `Shoes`, `SHOES`), a number, both (`iphone15`, `256GB`), or very short (`v2`, `e27`). */
const plainPiece =
  /^(?:[A-Z]?[a-z]+|[A-Z]+|\d+|[A-Z]?[a-z]{2,}\d{1,6}|[A-Z]{2,}\d{1,6}|\d{1,6}[A-Za-z]{1,2}|.{1,3})$/
/** Words in a piece of letters: `LongDocumentTitle`. */
const wordInPiece = /[A-Z]?[a-z]{3,}/g
const vowel = /[aeiouy]/
const longWord = /[A-Za-z]{20}/

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const ulid = /^[0-7](?:[0-9A-HJKMNP-TV-Z]{25}|[0-9a-hjkmnp-tv-z]{25})$/
/** Files of a web page have hashes in their names, the same for all visitors. */
const pageFile = /\.(?:[cm]?js|css|map|png|jpe?g|gif|webp|avif|svg|ico|woff2?|ttf|otf|mp[34]|webm)$/i
const announcements = new Set(
  'activate activation confirm confirmation invitation invite magic otp passwd password recover recovery reset token tokens unsubscribe verification verify'.split(
    ' '
  )
)

/**
 * The rule for a path segment that is a secret: at least 20 characters, and less than half of its letters and digits
 * belong to words or numbers. A JSON web token is one; so is any long random text: hex, base64, base62.
 *
 * Not a token: a slug (`black-shoes-size-42`), a number, a UUID or ULID, a file of a web page (`app-3f9cA7d1e0b2.js`).
 * After a segment that announces a token (`reset`, `verify-email`), UUIDs and ULIDs are tokens too, and so is
 * everything with at least six letters and digits that holds a digit, or twenty letters that are not a slug.
 */
export function isToken(segment: string, isAnnounced: boolean): boolean {
  if (segment.length < (isAnnounced ? MIN_ANNOUNCED_LENGTH : MIN_TOKEN_LENGTH)) return false
  if (pageFile.test(segment)) return false
  let length = 0
  let readable = 0
  for (const [text] of segment.matchAll(piece)) {
    length += text.length
    if (plainPiece.test(text)) readable += text.length
    else if (!/\d/.test(text)) readable += lettersInWords(text)
  }
  if (isAnnounced && length >= MIN_ANNOUNCED_LENGTH) {
    if (/\d/.test(segment) || longWord.test(segment)) return true
    if (segment.length >= MIN_TOKEN_LENGTH && readable < length) return true
  }
  if (segment.length < MIN_TOKEN_LENGTH || uuid.test(segment) || ulid.test(segment)) return false
  return segment.startsWith('eyJ') || readable * 2 < length
}

function lettersInWords(text: string): number {
  let letters = 0
  for (const [word] of text.matchAll(wordInPiece)) if (vowel.test(word)) letters += word.length
  return letters
}

/** The segments after this one may be tokens of any form: `/password-reset/…`, `/verifyEmail/…` */
export function announcesToken(segment: string): boolean {
  if (segment.length > 40) return false
  for (const [word] of segment.matchAll(/[A-Z]?[a-z]+|[A-Z]+/g)) {
    if (announcements.has(word.toLowerCase())) return true
  }
  return false
}
