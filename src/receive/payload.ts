import { isUtf8 } from 'node:buffer'
import { parse as parseLossless } from 'lossless-json'
import { parse as parseJson } from 'secure-json-parse'
import { withExactNumbers } from '../exact-json.ts'
import type { ParkedReason } from '../log/log-entry.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** A JSON object that is safe to read. */
export interface Payload {
  readonly value: JsonObject
  /** Whether some of its numbers are `LosslessNumber`s, which JSON.stringify cannot write. */
  readonly isLossless: boolean
}

export interface Unreadable {
  readonly reason: ParkedReason
  /** Bytes before the first invalid one; `undefined` if the reason is not about one place. */
  readonly offset: number | undefined
}

/** Customer.io's events are about 4 levels deep. */
const MAX_DEPTH = 64
const BYTE_ORDER_MARK = '\uFEFF'

/** Parses a body in linear time. Never throws. */
export function readPayload(body: Buffer): Payload | Unreadable {
  if (!isUtf8(body)) return { reason: 'not_utf8', offset: invalidUtf8Offset(body) }
  const decoded = body.toString('utf8')
  const text = decoded.startsWith(BYTE_ORDER_MARK) ? decoded.slice(1) : decoded
  let value: unknown
  try {
    value = parseJson(text, { protoAction: 'error', constructorAction: 'error' })
  } catch {
    return isJson(text)
      ? { reason: 'prototype_poisoning', offset: undefined }
      : { reason: 'not_json', offset: jsonErrorOffset(text, body.length) }
  }
  if (!isObject(value)) return { reason: 'not_an_object', offset: undefined }
  if (mayBeDeeperThan(MAX_DEPTH, text) && isDeeperThan(MAX_DEPTH, value)) {
    return { reason: 'too_deep', offset: undefined }
  }
  const exact = withExactNumbers(value, text)
  return { value: isObject(exact) ? exact : value, isLossless: exact !== value }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Each level needs a bracket: counting them avoids the walk through the values of nearly every event. */
function mayBeDeeperThan(limit: number, text: string): boolean {
  let brackets = 0
  for (const bracket of ['{', '[']) {
    for (let at = text.indexOf(bracket); at !== -1; at = text.indexOf(bracket, at + 1)) {
      if (++brackets > limit) return true
    }
  }
  return false
}

function isDeeperThan(limit: number, value: object): boolean {
  if (limit === 0) return true
  for (const child of Object.values(value)) {
    if (typeof child === 'object' && child !== null && isDeeperThan(limit - 1, child)) return true
  }
  return false
}

/** Where the JSON becomes invalid. V8 reports a position for some errors only, and quotes the text around it. */
function jsonErrorOffset(text: string, bodyBytes: number): number | undefined {
  try {
    parseLossless(text, undefined, { parseNumber: () => 0, onDuplicateKey: ({ newValue }) => newValue })
  } catch (error) {
    // An error of the stack has no position.
    const position = error instanceof SyntaxError ? /at position (\d+)$/.exec(error.message)?.[1] : undefined
    // Counted from the end, since a byte order mark may precede the text.
    if (position !== undefined) return bodyBytes - Buffer.byteLength(text.slice(Number(position)))
  }
  return undefined
}

const REPLACEMENT = '\uFFFD'
const REPLACEMENT_BYTES = Buffer.from(REPLACEMENT)

/** Decoding puts a replacement character in place of an invalid byte. Replacement characters that were sent are skipped. */
function invalidUtf8Offset(body: Buffer): number | undefined {
  const text = body.toString('utf8')
  let from = 0
  let offset = 0
  for (let at = text.indexOf(REPLACEMENT); at !== -1; at = text.indexOf(REPLACEMENT, from)) {
    offset += Buffer.byteLength(text.slice(from, at))
    if (!body.subarray(offset, offset + REPLACEMENT_BYTES.length).equals(REPLACEMENT_BYTES)) return offset
    from = at + 1
    offset += REPLACEMENT_BYTES.length
  }
  return undefined
}
