import type { Detector, Leak } from './detector.ts'
import type { FindingCollection, Sighting } from './finding.ts'
import { rememberClients, type TextMemory } from './key-shapes.ts'

/** A leak and the line it begins on, counted from 1. */
export interface LeakOnLine {
  readonly line: number
  readonly leak: Leak
}

/** Looks through one text that comes in pieces, in bounded memory. */
export interface StreamScanner {
  readonly push: (piece: Buffer) => void
  /** No more pieces. */
  readonly end: () => void
}

/** A longer text is looked through in regions of this size. */
const REGION_BYTES = 512 * 1024
const NEWLINE = 10

/**
 * @param onLeak called for each leak, in their order
 * @param onFirstRegion called once with the first half MiB (or all of a shorter text), before any leak
 */
export function createStreamScanner(
  detector: Detector,
  onLeak: (found: LeakOnLine) => void,
  onFirstRegion?: (region: Buffer) => void
): StreamScanner {
  const { marginBytes } = detector
  let pieces: Buffer[] = []
  let pendingBytes = 0
  /** What was looked at is kept as far as it is context for what comes: its length is `from`. */
  let from = 0
  let lineAtStart = 1
  let first = true
  const memory: TextMemory = {}

  return {
    push: piece => {
      pieces.push(piece)
      pendingBytes += piece.length
      if (pendingBytes >= REGION_BYTES + from + marginBytes) look(false)
    },
    end: () => look(true)
  }

  function look(isLast: boolean): void {
    const buffer = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
    if (first) onFirstRegion?.(buffer)
    first = false
    const limit = isLast ? buffer.length : buffer.length - marginBytes
    let countedTo = 0
    let line = lineAtStart
    for (const { start, leak } of detector.detect(buffer, from, limit, memory)) {
      line += newlines(buffer, countedTo, start)
      countedTo = start
      onLeak({ line, leak })
    }
    if (isLast) return
    rememberClients(buffer, memory)
    const keepFrom = Math.max(0, limit - marginBytes)
    lineAtStart += newlines(buffer, 0, keepFrom)
    // A copy: a view would keep the whole region alive.
    pieces = [Buffer.from(buffer.subarray(keepFrom))]
    pendingBytes = buffer.length - keepFrom
    from = limit - keepFrom
  }
}

export function newlines(buffer: Buffer, from: number, to: number): number {
  let count = 0
  for (let at = buffer.indexOf(NEWLINE, from); at !== -1 && at < to; at = buffer.indexOf(NEWLINE, at + 1))
    count++
  return count
}

/** Looks through a path: names are texts like any other. */
export function scanPath(
  detector: Detector,
  findings: FindingCollection,
  where: Pick<Sighting, 'file' | 'commit' | 'age' | 'inWorkingTree'>
): void {
  const scan = createStreamScanner(detector, ({ leak }) =>
    findings.add({ ...where, leak, place: 'file name', line: 1 })
  )
  scan.push(Buffer.from(where.file, 'utf8'))
  scan.end()
}
