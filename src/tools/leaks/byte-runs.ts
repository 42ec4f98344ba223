import { isWordByte } from './pattern-search.ts'

/** Which bytes make up a run: 1 at the bytes that do. */
export type ByteSet = Uint8Array

export function byteSet(characters: string): ByteSet {
  const set = new Uint8Array(256)
  for (const byte of Buffer.from(characters, 'latin1')) set[byte] = 1
  return set
}

/**
 * Calls back for each run of at least `minLength` bytes of the set that is not a part of a longer word. A run that
 * long covers every `minLength`-th byte, so only those are looked at.
 */
export function eachRun(
  buffer: Buffer,
  set: ByteSet,
  minLength: number,
  from: number,
  onRun: (start: number, end: number) => void
): void {
  const { length } = buffer
  let at = from + minLength - 1
  while (at < length) {
    if (set[buffer[at] ?? 0] !== 1) {
      at += minLength
      continue
    }
    let start = at
    while (start > from && set[buffer[start - 1] ?? 0] === 1) start--
    let end = at + 1
    while (end < length && set[buffer[end] ?? 0] === 1) end++
    const isWhole = !isWordByte(buffer[start - 1]) && !isWordByte(buffer[end])
    if (end - start >= minLength && isWhole) onRun(start, end)
    at = end + minLength
  }
}
