/** How often it is measured: the least time is the one that was disturbed least. */
const RUNS = 3
/** If the growth seems too fast, it is measured anew, more often: on a busy machine one run may mislead. */
const RETRIES = 3
/**
 * Twice the input, and the rest for memory that no longer fits into caches, and for noise: of many inputs the search
 * picks the one that seemed to grow fastest. n·√n would be 2.83, n² would be 4. For four times the input, squared.
 */
export const MAX_GROWTH_OF_DOUBLE = 2.6
/** Whatever takes less is lost in the noise, and harmless: with the square of it, 5 MiB take 0.1 s. */
const NEGLIGIBLE_MS = 4

export type Growth = {
  /** Milliseconds of processor time for the small and for the large input. */
  readonly smallMs: number
  readonly largeMs: number
  /** By how much the time grew each time the input doubled. */
  readonly ofDouble: number
  readonly isLinear: boolean
}

/** Measures an act for an input and for one that is four times as large. */
export function measureGrowth(small: () => unknown, large: () => unknown): Growth {
  let growth = compare(small, large, RUNS)
  for (let retry = 1; !growth.isLinear && retry <= RETRIES; retry++) {
    const again = compare(small, large, RUNS * retry)
    if (again.ofDouble < growth.ofDouble) growth = again
  }
  return growth
}

function compare(small: () => unknown, large: () => unknown, runs: number): Growth {
  const [smallMs, largeMs] = [leastMs(small, runs * 2), leastMs(large, runs)]
  const ofDouble = Math.sqrt(largeMs / Math.max(smallMs, 0.001))
  return { smallMs, largeMs, ofDouble, isLinear: largeMs < NEGLIGIBLE_MS || ofDouble <= MAX_GROWTH_OF_DOUBLE }
}

/** The least processor time of several runs, in milliseconds. */
export function leastMs(act: () => unknown, runs: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) {
    const before = process.cpuUsage()
    act()
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / 1000)
  }
  return least
}
