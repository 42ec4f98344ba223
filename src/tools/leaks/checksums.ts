// Tested by test/tools/leaks/key-context.test.ts.

/** Sections of lock files: `SPEC CHECKSUMS` of CocoaPods, `integrity`, `hashes`, `pkg_hash_ext`. */
const CHECKSUM_SECTION = /check[ _-]?sums?|integrity|(?<![a-z])hash(?:es)?(?![a-z])|digests?|fingerprints?/i

/** The section of the last value, for the next region of the same text. */
export interface SectionMemory {
  section?: { readonly indentation: number; readonly isChecksums: boolean }
}

const HEADER_BYTES = 200
const NEWLINE = 10
const BLANK = 32
const TAB = 9

/**
 * @param isContinued whether earlier regions of the same text precede this one
 * @returns whether the value at a position is in a section of checksums; positions must be asked in ascending order
 */
export function checksumSections(
  buffer: Buffer,
  isContinued: boolean,
  memory: SectionMemory
): (position: number) => boolean {
  /** The line of the previous value: a long section is not walked again for each of its lines. */
  let lastStart = -1

  return position => {
    const start = lineStartBefore(position)
    const indentation = indentationAt(start)
    const isChecksums = isBelowHeader(start, indentation)
    lastStart = start
    memory.section = { indentation, isChecksums }
    return isChecksums
  }

  function isBelowHeader(start: number, indentation: number): boolean {
    const known = memory.section?.indentation === indentation && memory.section.isChecksums
    for (let lineStart = start; lineStart > 0; ) {
      const end = lineStart - 1
      lineStart = lineStartBefore(end)
      if (lineStart === 0 && isContinued) break // possibly not a whole line
      const own = indentationAt(lineStart)
      if (lineStart + own >= end) continue // a blank line
      if (own < indentation)
        return CHECKSUM_SECTION.test(
          buffer.toString('latin1', lineStart, Math.min(end, lineStart + HEADER_BYTES))
        )
      if (lineStart === lastStart) return known
    }
    return known
  }

  function lineStartBefore(position: number): number {
    return position === 0 ? 0 : buffer.lastIndexOf(NEWLINE, position - 1) + 1
  }

  function indentationAt(start: number): number {
    let at = start
    while (buffer[at] === BLANK || buffer[at] === TAB) at++
    return at - start
  }
}
