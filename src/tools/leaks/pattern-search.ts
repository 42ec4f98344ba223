/*
 * Finds any of several hundred byte strings in one pass. Nearly all of what is searched holds none of them, so what
 * counts is how fast a stretch of bytes can be ruled out: the last two bytes of a window say how far it may move
 * (the block shift of Wu and Manber, 1994). Where an automaton looks at every byte, this looks at every tenth or so.
 */

/** One text to look for. */
export interface Pattern<T> {
  readonly bytes: Buffer
  /** May a line break of a wrapped text (MIME, PEM, `base64`) stand between any two of its bytes? */
  readonly wraps: boolean
  /** May it not be a part of a longer word? */
  readonly isWord: boolean
  readonly tag: T
}

export interface PatternMatch<T> {
  readonly start: number
  readonly end: number
  readonly tag: T
}

export interface PatternSearch<T> {
  /** Bytes the longest match may have. */
  readonly longest: number
  /** Calls back for each match that starts in [from, limit), in no promised order; looks at all of the buffer. */
  readonly find: (
    buffer: Buffer,
    from: number,
    limit: number,
    onMatch: (match: PatternMatch<T>) => void
  ) => void
}

/** A window is found by its exact bytes, and the rest of its pattern from there on. */
interface Window<T> {
  readonly pattern: Pattern<T>
  readonly offset: number
}

/** Two bytes are looked at to move a window. */
const BLOCK_BYTES = 2
/** A longer window would move further, but no faster: most of the shifts are this long already. */
const MAX_WINDOW_BYTES = 24
/** Lines of a wrapped text have 64 or 76 characters: of three windows spread over it one is in one piece. */
const WINDOWS_IF_WRAPPED = 3
/** A break and an indentation after it. */
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

/** Is the whole pattern around the window that would begin at `at`? */
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
