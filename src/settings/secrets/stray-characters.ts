const QUOTES = `"'\`“”„‘’‚«»`
const STARTS_WITH_QUOTE = new RegExp(`^[${QUOTES}]`)
const ENDS_WITH_QUOTE = new RegExp(`[${QUOTES}]$`)

/** The first match is reported. */
const STRAYS: readonly (readonly [found: RegExp, problem: string])[] = [
  // Read as UTF-8, every other byte of UTF-16 is zero.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a zero byte means UTF-16
  [/\u0000/, 'it is encoded in UTF-16: save it as UTF-8'],
  [/\ufffd/, 'it is not valid UTF-8 (is it UTF-16?): save it as UTF-8'],
  [/^\ufeff/, 'it begins with a byte order mark: save it as UTF-8 without one'],
  [/[\p{Cf}\ufeff]/u, 'it contains an invisible character, such as a zero-width space'],
  [/^[\r\n\u2028\u2029]/, 'it begins with a line break'],
  [/[\r\n\u2028\u2029]$/, 'it ends with a line break'],
  [/^\s/, 'it begins with white space'],
  [/\s$/, 'it ends with white space'],
  [/\\[nrt]$/, 'it ends with a backslash and a letter (\\n), which is not a line break here'],
  [STARTS_WITH_QUOTE, 'it begins with a quotation mark'],
  [ENDS_WITH_QUOTE, 'it ends with a quotation mark'],
  [/[\r\n]/, 'it contains a line break'],
  [/\p{Cc}/u, 'it contains a control character'],
  [/[^\S ]/, 'it contains white space other than a plain space, such as a non-breaking one']
]

/**
 * Finds what was copied together with a signing key: quotation marks, white space, a byte order mark, another encoding.
 * No signature matches such a key, so every delivery would be refused.
 *
 * @returns the problem in words that do not repeat the key; `undefined` for a clean key
 */
export function strayCharacters(key: string): string | undefined {
  return STRAYS.find(([found]) => found.test(key))?.[1]
}

/** Without the line break that `echo` and editors leave at the end. */
export const withoutLineBreak = (text: string): string => text.replace(/\r?\n$/, '')

/** The same for any secret: an encoding other than UTF-8 is always a mistake. */
export function wrongEncoding(text: string): string | undefined {
  return STRAYS.slice(0, 3).find(([found]) => found.test(text))?.[1]
}
