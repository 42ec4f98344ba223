import { isLosslessNumber } from '../exact-json.ts'

/** 1e11 seconds are in the year 5138, 1e11 milliseconds in 1973: a larger number has a finer unit. */
const MAX_SECONDS = 1e11
/** Units from seconds to nanoseconds, each a thousandth of the one before. */
const UNITS = 4

const DECIMAL = /^\d{1,20}(?:\.\d{1,20})?$/
const RFC_3339 =
  /^(\d{4}-\d\d-\d\d)[T ]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,20})?)(Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)$/

/**
 * The `timestamp` of a payload in Unix milliseconds.
 *
 * A number, also as text, is in seconds, milliseconds, microseconds or nanoseconds, by its magnitude. Other text must be
 * an RFC 3339 time with an offset.
 *
 * @returns `undefined` for anything else, and for times before 1970
 */
export function eventTimeMs(timestamp: unknown): number | undefined {
  if (typeof timestamp === 'number') return ofUnixTime(timestamp)
  if (isLosslessNumber(timestamp)) return ofUnixTime(Number(timestamp.value))
  if (typeof timestamp !== 'string' || timestamp.length > 64) return undefined
  const text = timestamp.trim()
  return DECIMAL.test(text) ? ofUnixTime(Number(text)) : ofRfc3339(text.toUpperCase())
}

function ofUnixTime(value: number): number | undefined {
  if (!(value >= 0)) return undefined
  for (let unit = 0, limit = MAX_SECONDS; unit < UNITS; unit++, limit *= 1000) {
    if (value < limit) return Math.round(unit === 0 ? value * 1000 : value / 1000 ** (unit - 1))
  }
  return undefined
}

function ofRfc3339(text: string): number | undefined {
  const [, date, time, offset] = RFC_3339.exec(text) ?? []
  if (date === undefined || time === undefined || offset === undefined) return undefined
  // Date.parse takes February 30 for March 2.
  const midnightMs = Date.parse(`${date}T00:00:00Z`)
  if (Number.isNaN(midnightMs) || new Date(midnightMs).toISOString().slice(0, 10) !== date) return undefined
  const ms = Date.parse(`${date}T${time}${offset}`)
  return ms >= 0 ? ms : undefined
}
