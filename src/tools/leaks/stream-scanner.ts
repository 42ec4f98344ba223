// Tested by test/tools/leaks/detector.slow.test.ts.
import type { Detector, Leak } from './detector.ts'
import type { Search, Sighting } from './finding.ts'
import { rememberClients, type TextMemory } from './key-shapes.ts'

/** A leak and the line it starts on, counted from 1. */
export interface LeakOnLine {
  readonly line: number
  readonly leak: Leak
}

/** Searches one text that arrives in pieces, in bounded memory. */
export interface StreamScanner {
  readonly push: (piece: Buffer) => void
  /** To be called after the last piece. */
  readonly end: () => void
}

/** Longer texts are searched in regions of this size. */
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
  /** Bytes at the start of `pieces` that were searched already, and are the context of what follows. */
  let from = 0
  let lineAtStart = 1
  let isFirst = true
  const memory: TextMemory = {}

  return {
    push: piece => {
      pieces.push(piece)
      pendingBytes += piece.length
      if (pendingBytes >= REGION_BYTES + from + marginBytes) scanRegion(false)
    },
    end: () => scanRegion(true)
  }

  function scanRegion(isLast: boolean): void {
    const buffer = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces)
    if (isFirst) onFirstRegion?.(buffer)
    isFirst = false
    const limit = isLast ? buffer.length : buffer.length - marginBytes
    let countedTo = 0
    let line = lineAtStart
    for (const { start, leak } of detector.detect(buffer, from, limit, memory)) {
      line += countNewlines(buffer, countedTo, start)
      countedTo = start
      onLeak({ line, leak })
    }
    if (isLast) return
    rememberClients(buffer, memory)
    const keepFrom = Math.max(0, limit - marginBytes)
    lineAtStart += countNewlines(buffer, 0, keepFrom)
    // A copy: a view would keep the whole region in memory.
    pieces = [Buffer.from(buffer.subarray(keepFrom))]
    pendingBytes = buffer.length - keepFrom
    from = limit - keepFrom
  }
}

/** Searches a text that is in memory as a whole. */
export function scanBuffer(detector: Detector, bytes: Buffer, onLeak: (found: LeakOnLine) => void): void {
  const scanner = createStreamScanner(detector, onLeak)
  scanner.push(bytes)
  scanner.end()
}

/** Searches the path of a file: it may contain a secret too. */
export function scanPath(
  { detector, findings }: Search,
  where: Pick<Sighting, 'file' | 'commit' | 'age' | 'inWorkingTree'>
): void {
  scanBuffer(detector, Buffer.from(where.file), ({ leak }) =>
    findings.add({ ...where, leak, place: 'file name', line: 1 })
  )
}

export function countNewlines(buffer: Buffer, from: number, to: number): number {
  let count = 0
  for (let at = buffer.indexOf(NEWLINE, from); at !== -1 && at < to; at = buffer.indexOf(NEWLINE, at + 1))
    count++
  return count
}
