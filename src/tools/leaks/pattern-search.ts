/*
 * Finds any of several hundred byte strings in one pass. Nearly all text contains none of them, so it must be ruled out
 * fast: the last two bytes of a window tell how far the window can move (block shift of Wu and Manber, 1994). An
 * automaton reads every byte, this about every tenth.
 *
 * `Buffer.indexOf` once per pattern would be 40 lines shorter. But its time grows with the number of patterns: 40 instead
 * of 845 MiB/s for 70 patterns, 7 instead of 1,100 MiB/s for 400 (docs/decisions/leak-scanner.md).
 */

/** One text to search for. */
interface Pattern<T> {
  readonly bytes: Buffer
  /** Whether a line break of wrapped text (MIME, PEM, `base64`) may separate any two of its bytes. */
  readonly wraps: boolean
  /** Whether it must not be part of a longer word. */
  readonly isWord: boolean
  readonly tag: T
}

export interface PatternMatch<T> {
  readonly start: number
  readonly end: number
  readonly tag: T
}

interface PatternSearch<T> {
  /** The length of the longest possible match, in bytes. */
  readonly longest: number
  /** Calls back for each match that starts in [from, limit), in any order, possibly twice. It may end after `limit`. */
  readonly find: (
    buffer: Buffer,
    from: number,
    limit: number,
    onMatch: (match: PatternMatch<T>) => void
  ) => void
}

/** A part of a pattern that is searched for byte by byte; the rest of the pattern is compared around it. */
interface Window<T> {
  readonly pattern: Pattern<T>
  readonly offset: number
}

/** Bytes that decide how far a window moves. */
const BLOCK_BYTES = 2
/** A longer window would be no faster: most shifts are this long already. */
const MAX_WINDOW_BYTES = 24
/** Lines of wrapped text have 64 or 76 characters: of three windows, no line break divides all. */
const WINDOWS_IF_WRAPPED = 3
/** A line break with the indentation after it. */
const MAX_BREAK_BYTES = 48
const SHORTEST_LINE_BYTES = 60

/** @param patterns each of at least two bytes */
export function compilePatterns<T>(patterns: readonly Pattern<T>[]): PatternSearch<T> {
  const shortest = patterns.reduce((least, { bytes }) => Math.min(least, bytes.length), MAX_WINDOW_BYTES)
  const windowBytes = Math.max(BLOCK_BYTES, shortest)
  const windows = patterns.flatMap(pattern =>
    windowOffsets(pattern, windowBytes).map(offset => ({ pattern, offset }))
  )
  const { shifts, byLastBlock } = shiftTable(windows, windowBytes)
  const longest = patterns.reduce((most, { bytes }) => Math.max(most, bytes.length), 0)

  return {
    longest: longest + Math.ceil(longest / SHORTEST_LINE_BYTES) * MAX_BREAK_BYTES,
    find: (buffer, from, limit, onMatch) => {
      if (patterns.length === 0) return
      const { length } = buffer
      let at = from + windowBytes - 1
      while (at < length) {
        const block = ((buffer[at - 1] ?? 0) << 8) | (buffer[at] ?? 0)
        const shift = shifts[block] ?? 0
        if (shift > 0) {
          at += shift
          continue
        }
        for (const window of byLastBlock.get(block) ?? []) {
          const match = extend(buffer, at - windowBytes + 1, window, windowBytes)
          if (match !== undefined && match.start >= from && match.start < limit) onMatch(match)
        }
        at++
      }
    }
  }
}

function windowOffsets<T>({ bytes, wraps }: Pattern<T>, windowBytes: number): number[] {
  const last = bytes.length - windowBytes
  if (!wraps || last < windowBytes) return [0]
  return Array.from({ length: WINDOWS_IF_WRAPPED }, (_, index) =>
    Math.floor((last * index) / (WINDOWS_IF_WRAPPED - 1))
  )
}

function shiftTable<T>(windows: readonly Window<T>[], windowBytes: number) {
  const shifts = new Uint8Array(0x10000).fill(windowBytes - BLOCK_BYTES + 1)
  const byLastBlock = new Map<number, Window<T>[]>()
  for (const window of windows) {
    const { bytes } = window.pattern
    for (let index = BLOCK_BYTES - 1; index < windowBytes; index++) {
      const block = bytes.readUInt16BE(window.offset + index - 1)
      shifts[block] = Math.min(shifts[block] ?? 0, windowBytes - 1 - index)
    }
    const last = bytes.readUInt16BE(window.offset + windowBytes - BLOCK_BYTES)
    byLastBlock.set(last, [...(byLastBlock.get(last) ?? []), window])
  }
  return { shifts, byLastBlock }
}

/** The match of the whole pattern around a window at `at`, if there is one. */
function extend<T>(
  buffer: Buffer,
  at: number,
  { pattern, offset }: Window<T>,
  windowBytes: number
): PatternMatch<T> | undefined {
  const { bytes, wraps, isWord, tag } = pattern
  for (let index = 0; index < windowBytes; index++) {
    if (buffer[at + index] !== bytes[offset + index]) return undefined
  }
  let end = at + windowBytes
  for (let index = offset + windowBytes; index < bytes.length; index++, end++) {
    if (buffer[end] === bytes[index]) continue
    if (wraps) end = afterBreak(buffer, end)
    if (buffer[end] !== bytes[index]) return undefined
  }
  let start = at
  for (let index = offset - 1; index >= 0; index--, start--) {
    if (buffer[start - 1] === bytes[index]) continue
    if (wraps) start = beforeBreak(buffer, start)
    if (buffer[start - 1] !== bytes[index]) return undefined
  }
  if (isWord && (isWordByte(buffer[start - 1]) || isWordByte(buffer[end]))) return undefined
  return { start, end, tag }
}

const BREAK_FORWARD = /^=?(?:\r?\n|(?:\\r)?\\n)[ \t]{0,40}/
const BREAK_BACKWARD = /=?(?:\r?\n|(?:\\r)?\\n)[ \t]{0,40}$/

function afterBreak(buffer: Buffer, at: number): number {
  return at + (BREAK_FORWARD.exec(buffer.toString('latin1', at, at + MAX_BREAK_BYTES))?.[0].length ?? 0)
}

function beforeBreak(buffer: Buffer, at: number): number {
  const before = buffer.toString('latin1', Math.max(0, at - MAX_BREAK_BYTES), at)
  return at - (BREAK_BACKWARD.exec(before)?.[0].length ?? 0)
}

export function isWordByte(byte: number | undefined): boolean {
  if (byte === undefined) return false
  return (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
}
