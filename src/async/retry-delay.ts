export interface RetryTimes {
  /** Pause after the first failure. */
  readonly retryDelayMs: number
  /** No pause is longer, whatever the other side asks for. */
  readonly maxRetryDelayMs: number
}

/**
 * With the defaults (10 s, at most 6 h, 12 attempts) the pauses are 10 s, 30 s, 90 s, 4.5 min, 13.5 min, 40 min,
 * 2 h, and four times 6 h: 27 hours in all.
 */
const GROWTH = 3
/** Each pause is up to a fifth shorter or longer, so that what failed together does not come back together. */
const JITTER = 0.2

/**
 * How long to wait after a failed attempt, in milliseconds.
 *
 * @param attempts how many there were, from 1
 * @param retryAfterMs what the other side asked for; it is honoured where it is longer, up to the longest pause
 * @param random from 0 to 1
 */
export function retryDelayMs(
  { retryDelayMs, maxRetryDelayMs }: RetryTimes,
  attempts: number,
  retryAfterMs: number | undefined,
  random: number = Math.random()
): number {
  const pause = Math.min(retryDelayMs * GROWTH ** (attempts - 1), maxRetryDelayMs)
  const jittered = pause * (1 - JITTER + 2 * JITTER * random)
  return Math.round(Math.max(jittered, Math.min(retryAfterMs ?? 0, maxRetryDelayMs)))
}

/**
 * The header `retry-after`, seconds or an HTTP date (RFC 9110, 10.2.3), in milliseconds from now; `undefined`
 * where it is neither.
 */
export function parseRetryAfter(value: unknown, nowMs: number): number | undefined {
  if (typeof value !== 'string') return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  // Date.parse takes far more than HTTP does; every HTTP date begins with a day's name.
  const atMs = /^[A-Z][a-z]{2,8},? /.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}
