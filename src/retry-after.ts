/**
 * Parses the header `retry-after`: seconds or an HTTP date (RFC 9110, 10.2.3).
 *
 * @returns milliseconds from now; `undefined` for any other value
 */
export function parseRetryAfter(value: unknown, nowMs: number): number | undefined {
  if (typeof value !== 'string') return undefined
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  // Date.parse accepts far more than HTTP does; every HTTP date begins with the name of a day.
  const atMs = /^[A-Z][a-z]{2,8},? /.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(atMs) ? undefined : Math.max(0, atMs - nowMs)
}
