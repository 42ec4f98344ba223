/** As istanbul's instrumenter keeps it for one file: counters of statements, and of each branch's ways. */
interface FileCounters {
  s: Record<number, number>
  readonly b: Record<number, Record<number, number>>
}

/** What inputs have reached so far, all together. */
export interface Coverage {
  /** To be called before each execution. */
  reset(): void
  /** What the last execution reached that none before it had: so many pairs of a counter and a magnitude. */
  newFeatures(): number
  /** Statements and branches that were reached, of all there are. */
  figures(): { readonly reached: number; readonly total: number; readonly features: number }
}

/** 1, 2, 3, up to 7, 15, 31, 127 and more: whether a loop ran 5 or 6 times is nothing new. */
function magnitude(count: number): number {
  if (count < 4) return count - 1
  if (count < 8) return 3
  if (count < 16) return 4
  if (count < 32) return 5
  return count < 128 ? 6 : 7
}

/**
 * Puts the counters of all files into one array: a look at what an execution reached is then one pass over some
 * thousand numbers.
 */
export function readCoverage(): Coverage {
  const files = Object.values(
    (globalThis as { __coverage__?: Record<string, FileCounters> }).__coverage__ ?? {}
  )
  if (files.length === 0) throw new Error('nothing counts: the modules were loaded without the hooks')
  const size = (counters: object): number => Object.keys(counters).length
  const total = files.reduce(
    (sum, { s, b }) => sum + size(s) + Object.values(b).reduce((ways, way) => ways + size(way), 0),
    0
  )
  const counters = new Uint32Array(total)
  let at = 0
  const next = (length: number): Uint32Array => {
    at += length
    return counters.subarray(at - length, at)
  }
  for (const file of files) {
    file.s = next(size(file.s))
    for (const [branch, ways] of Object.entries(file.b)) file.b[Number(branch)] = next(size(ways))
  }
  const seen = new Uint8Array(total)
  let features = 0
  return {
    reset: () => void counters.fill(0),
    newFeatures: () => {
      let found = 0
      for (let index = 0; index < total; index++) {
        const count = counters[index] ?? 0
        if (count === 0) continue
        const bit = 1 << magnitude(count)
        if (((seen[index] ?? 0) & bit) !== 0) continue
        seen[index] = (seen[index] ?? 0) | bit
        found++
      }
      features += found
      return found
    },
    figures: () => ({ reached: seen.reduce((sum, bits) => sum + (bits === 0 ? 0 : 1), 0), total, features })
  }
}
