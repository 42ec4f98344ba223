/** Projects from the latest usage of memory when it will be full. */
export interface MemoryForecast {
  /** @param ratio used share of the limit @param atMs monotonic milliseconds */
  add(ratio: number, atMs: number): void
  /** `undefined` while usage does not grow, or not long enough to tell. */
  fullInMs(): number | undefined
}

/** The rate is that of the latest ten minutes: one newsletter should not decide it, nor should yesterday. */
const WINDOW_MS = 10 * 60 * 1000
/** A fall by this much is a clean-up: what was before says nothing about the growth since. */
const CLEAN_UP = 0.02

export function createMemoryForecast(): MemoryForecast {
  let samples: { readonly ratio: number; readonly atMs: number }[] = []
  return {
    add: (ratio, atMs) => {
      const last = samples.at(-1)
      if (last !== undefined && ratio < last.ratio - CLEAN_UP) samples = []
      samples.push({ ratio, atMs })
      const firstInWindow = samples.findIndex(sample => atMs - sample.atMs <= WINDOW_MS)
      samples.splice(0, firstInWindow)
    },
    fullInMs: () => {
      const [first] = samples
      const last = samples.at(-1)
      if (first === undefined || last === undefined || last.ratio <= first.ratio) return undefined
      const perMs = (last.ratio - first.ratio) / (last.atMs - first.atMs)
      return Math.max(0, (1 - last.ratio) / perMs)
    }
  }
}
