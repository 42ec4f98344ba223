/** Sections of lock files: `SPEC CHECKSUMS` of CocoaPods, `integrity`, `hashes`, `pkg_hash_ext`. */
const CHECKSUM_SECTION = /check[ _-]?sums?|integrity|(?<![a-z])hash(?:es)?(?![a-z])|digests?|fingerprints?/i
/** A longer section is looked at no further. */
const SECTION_BYTES = 256 * 1024
const NEWLINE = 10
const BLANK = 32
const TAB = 9

/** Tells whether a value stands in a section of checksums. Asked about one buffer from its start to its end. */
export function checksumSections(buffer: Buffer): (position: number) => boolean {
  /** The line that was asked about last: a long section is not walked up again for each of its lines. */
  let lastStart = -1
  let lastIndentation = -1
  let lastAnswer = false

  return position => {
    const start = buffer.lastIndexOf(NEWLINE, position - 1) + 1
    const indentation = indentationAt(start)
    const answer = isBelowHeader(start, indentation)
    lastStart = start
    lastIndentation = indentation
    lastAnswer = answer
    return answer
  }

  function isBelowHeader(start: number, indentation: number): boolean {
    const limit = Math.max(0, start - SECTION_BYTES)
    let lineStart = start
    while (lineStart > limit) {
      const end = lineStart - 1
      lineStart = end === 0 ? 0 : buffer.lastIndexOf(NEWLINE, end - 1) + 1
      const own = indentationAt(lineStart)
      const isBlankLine = lineStart + own >= end
      if (isBlankLine) continue
      if (own < indentation)
        return CHECKSUM_SECTION.test(buffer.toString('latin1', lineStart, Math.min(end, lineStart + 200)))
      if (lineStart === lastStart && own === indentation && own === lastIndentation) return lastAnswer
    }
    return false
  }

  function indentationAt(start: number): number {
    let at = start
    while (buffer[at] === BLANK || buffer[at] === TAB) at++
    return at - start
  }
}
