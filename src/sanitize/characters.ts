function table(characters: string): Uint8Array {
  const entries = new Uint8Array(128)
  for (const character of characters) entries[character.charCodeAt(0)] = 1
  return entries
}

/** Look-up by character code; beyond ASCII there is no entry. A table costs a third of a comparison chain. */
export const DIGIT = table('0123456789')
export const LETTER = table('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')

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
