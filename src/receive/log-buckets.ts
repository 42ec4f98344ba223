/**
 * Buckets of a histogram, each 1.2 times as wide as the one before: a quantile is at most 10 % off, whatever the size of
 * the values. Bucket `n` holds the values around `unit * 1.2^n`.
 */
export interface LogBuckets {
  /** The number of buckets. */
  readonly count: number
  /** The bucket of a value. Smaller and larger values than the range are in the first and the last one. */
  of(value: number): number
  /** The value in the middle of a bucket. */
  valueOf(bucket: number): number
}

const GROWTH = 1.2
const LOG_GROWTH = Math.log(GROWTH)

/** @param min upper end of the first bucket @param max lower end of the last bucket, about */
export function logBuckets(min: number, max: number): LogBuckets {
  const count = Math.ceil(Math.log(max / min) / LOG_GROWTH) + 1
  return {
    count,
    of: value => (value <= min ? 0 : Math.min(count - 1, Math.round(Math.log(value / min) / LOG_GROWTH))),
    valueOf: bucket => min * GROWTH ** bucket
  }
}

/**
 * @param counts number of values per bucket
 * @param quantile such as 0.99
 * @returns `undefined` if there are no values
 */
export function quantileOf(
  buckets: LogBuckets,
  counts: ReadonlyMap<number, number>,
  quantile: number
): number | undefined {
  let total = 0
  for (const count of counts.values()) total += count
  if (total === 0) return undefined
  const rank = Math.max(1, Math.ceil(total * quantile))
  let seen = 0
  for (const bucket of [...counts.keys()].sort((a, b) => a - b)) {
    seen += counts.get(bucket) ?? 0
    if (seen >= rank) return buckets.valueOf(bucket)
  }
  return undefined
}
