/** Istanbul's counters of one file: statements, and the paths of each branch. */
interface FileCounters {
  s: Record<number, number>
  readonly b: Record<number, Record<number, number>>
}

/** Coverage of all inputs so far. */
export interface Coverage {
  /** To be called before each execution. */
  reset(): void
  /** Number of features (pairs of a counter and a magnitude) that the last execution reached first. */
  newFeatures(): number
  /** Reached counters of statements and branches, and their total number. */
  figures(): { readonly reached: number; readonly total: number; readonly features: number }
}

/** 1, 2, 3, up to 7, 15, 31, 127, and more: 5 or 6 runs of a loop are the same feature. */
function magnitude(count: number): number {
  if (count < 4) return count - 1
  if (count < 8) return 3
  if (count < 16) return 4
  if (count < 32) return 5
  return count < 128 ? 6 : 7
}

/** Puts the counters of all files into one array, so that one pass over it finds new features. */
export function readCoverage(): Coverage {
  const files = Object.values(
    (globalThis as { __coverage__?: Record<string, FileCounters> }).__coverage__ ?? {}
  )
  if (files.length === 0) throw new Error('no counters: the modules were loaded without the hooks')
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
