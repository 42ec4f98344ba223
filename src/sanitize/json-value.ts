// Tested by test/sanitize/sanitize.test.ts
import { isLosslessNumber } from '../exact-json.ts'

export type Json = Record<string, unknown>

/** A string, a bigint or a finite number as text. */
export function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (typeof value === 'bigint' || isLosslessNumber(value)) return String(value)
  return Number.isFinite(value) ? String(value) : undefined
}

/** The value's JSON has at least so many bytes. */
export function leastBytes(value: unknown): number {
  if (typeof value === 'string') return value.length + 2
  if (typeof value === 'number') return 1
  return typeof value === 'object' ? 2 : 4
}

/** Plain as JSON.parse makes it, also in another realm. A Map, a Buffer, a boxed string is not. */
export function isPlain(value: object): value is Json {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** An own key `__proto__` stays an own key. Assignment would change the prototype instead. */
export function put(output: Json, key: string, value: unknown): void {
  if (value === undefined) return
  if (key === '__proto__') {
    Object.defineProperty(output, key, { value, writable: true, enumerable: true, configurable: true })
  } else output[key] = value
}
