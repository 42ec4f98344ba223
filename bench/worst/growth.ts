/** Runs per measurement: the shortest time is the least disturbed one. */
const RUNS = 3
/** Growth that seems too fast is measured again with more runs: on a busy machine one measurement may mislead. */
const RETRIES = 3
/**
 * Linear is 2, n·√n is 2.83, n² is 4. The margin is for memory that exceeds the caches and for noise: the search picks
 * the input that seemed to grow fastest.
 */
export const MAX_GROWTH_OF_DOUBLE = 2.6
/** Shorter times are noise, and harmless: even if the time grew with n², 5 MiB would take 0.1 s. */
const NEGLIGIBLE_MS = 4

export type Growth = {
  /** Milliseconds of CPU time for the small and for the large input. */
  readonly smallMs: number
  readonly largeMs: number
  /** Factor by which the time grew each time the input doubled. */
  readonly ofDouble: number
  readonly isLinear: boolean
}

/**
 * @param large does the same as `small` for an input four times as large
 * @param maxOfDouble the largest `ofDouble` that counts as linear
 */
export function measureGrowth(
  small: () => unknown,
  large: () => unknown,
  maxOfDouble = MAX_GROWTH_OF_DOUBLE
): Growth {
  const compare = (runs: number): Growth => growthOf(small, large, runs, maxOfDouble)
  let growth = compare(RUNS)
  for (let retry = 1; !growth.isLinear && retry <= RETRIES; retry++) {
    const again = compare(RUNS * retry)
    if (again.ofDouble < growth.ofDouble) growth = again
  }
  return growth
}

function growthOf(small: () => unknown, large: () => unknown, runs: number, maxOfDouble: number): Growth {
  const [smallMs, largeMs] = [leastMs(small, runs * 2), leastMs(large, runs)]
  const ofDouble = Math.sqrt(largeMs / Math.max(smallMs, 0.001))
  return { smallMs, largeMs, ofDouble, isLinear: largeMs < NEGLIGIBLE_MS || ofDouble <= maxOfDouble }
}

/** The shortest CPU time of several runs, in milliseconds. */
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
