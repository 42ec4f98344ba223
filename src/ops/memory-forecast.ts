/** Estimates when memory will be full, from its usage in the last minutes. */
interface MemoryForecast {
  /** @param ratio used share of the limit @param atMs monotonic milliseconds */
  add(ratio: number, atMs: number): void
  /** `undefined` if usage does not grow, or too little is known. */
  fullInMs(): number | undefined
}

/** Long enough that one newsletter does not dominate, short enough to show the current rate. */
const WINDOW_MS = 10 * 60 * 1000
/** If usage drops by this much, memory was freed: older samples say nothing about the growth since then. */
const FREED = 0.02

export function createMemoryForecast(): MemoryForecast {
  let samples: { readonly ratio: number; readonly atMs: number }[] = []
  return {
    add: (ratio, atMs) => {
      const last = samples.at(-1)
      if (last !== undefined && ratio < last.ratio - FREED) samples = []
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
