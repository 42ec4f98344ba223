import { byteSet, eachRun } from './byte-runs.ts'
import { CONTEXT_BYTES, contextOf, judge } from './key-context.ts'
import type { Certainty, RuleId } from './rules.ts'

/** A text that looks like a key of Customer.io in a place where one would stand. */
export interface ShapeMatch {
  readonly start: number
  readonly end: number
  readonly rule: RuleId
  readonly certainty: Certainty
}

/** Customer.io writes its keys in lower case. */
const hexDigits = byteSet('0123456789abcdef')
const base64Characters = byteSet('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

const KEY_LENGTHS = new Set([20, 32, 64])
const SHORTEST_KEY = 20
/** The base64 of `<20 digits>:<20 digits>`, less its padding. */
const LOGIN_LENGTH = 55

/** Matches that start in [from, limit), told by what stands around them in the buffer. */
export function findKeyShapes(
  buffer: Buffer,
  from: number,
  limit: number,
  onMatch: (match: ShapeMatch) => void
): void {
  eachRun(buffer, hexDigits, SHORTEST_KEY, from, (start, end) => {
    if (start >= limit || !KEY_LENGTHS.has(end - start)) return
    const value = buffer.toString('latin1', start, end)
    if (!looksRandom(value)) return
    const verdict = judge(contextOf(buffer, start, end))
    if (verdict !== undefined) onMatch({ start, end, ...verdict })
  })
  eachRun(buffer, base64Characters, LOGIN_LENGTH, from, (start, end) => {
    if (start >= limit || end - start !== LOGIN_LENGTH) return
    const decoded = Buffer.from(buffer.toString('latin1', start, end), 'base64').toString('latin1')
    if (!/^[0-9a-f]{20}:[0-9a-f]{20}$/.test(decoded) || !looksRandom(decoded)) return
    onMatch({ start, end, rule: 'customerio-basic-auth', certainty: 'certain' })
  })
}

/** Bytes around a match that are looked at. */
export const SHAPE_CONTEXT_BYTES = CONTEXT_BYTES

/** What people make up to stand for a key has few different digits, or has them in order. */
function looksRandom(value: string): boolean {
  if (!/[0-9]/.test(value) || !/[a-f]/.test(value)) return false
  // 20 random digits have fewer than 8 different ones about once in 2,000 cases.
  if (new Set(value).size < 8) return false
  return !/0123456|1234567|abcdef|fedcba|7654321|deadbeef|cafebabe|(.)\1{5}/.test(value)
}
