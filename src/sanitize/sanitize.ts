import { createHmac, hash } from 'node:crypto'
import { isLosslessNumber } from '../exact-json.ts'
import { isCardNumber } from './card.ts'
import { compileFields, type FieldRule, type Parent } from './field-rules.ts'
import { isAddress, textMask } from './personal-text.ts'
import { type Policy, REDACTED } from './policy.ts'

/** Deeper than any event, far from the end of the stack here and in JSON.stringify: "[REDACTED]" from there. */
export const MAX_DEPTH = 500
/**
 * A body of 5 MiB holds at most 2.6 million values (`[1,1,…`). More come only from what is no JSON value: a
 * cycle, a graph that shares its nodes. They must end too.
 */
const MAX_VALUES = 3_000_000

type Json = Record<string, unknown>

export type SanitizerOptions = {
  /** HMAC key for hashes; without it they are plain SHA-256. */
  hashKey?: string | undefined
  /** Further fields to redact; they beat every other rule for the same field. */
  redactFields?: readonly string[] | undefined
  /** Paths of names whose value is an id, such as the target of a source's id pointer. */
  idPaths?: readonly (readonly string[])[] | undefined
}

export type Sanitizer = {
  /**
   * A new JSON value without what the policy covers. Never throws. `value(value(x))` equals `value(x)`, with
   * one exception that cannot be helped: the e-mail address `_preserveEmail` kept is hashed by a second pass,
   * since `_preserveEmail` itself never leaves.
   */
  value(json: unknown, about?: { readonly event?: string; readonly bodyBytes?: number }): unknown
  /** An id or another single string with the policy's text masks applied. */
  token(text: string): string
}

/** Throws where the policy contradicts itself: a hash whose new name is covered by another rule than redact. */
export function compileSanitizer(policy: Policy, options: SanitizerOptions = {}): Sanitizer {
  const maskText = textMask(policy.text)
  const masksCards = policy.text.includes('card')
  const fields = compileFields(policy, options.redactFields ?? [], maskText)
  const digest = compileDigest(options.hashKey)
  let valuesLeft = 0

  function walk(value: unknown, parent: Parent | undefined, depth: number): unknown {
    if (typeof value === 'string') return maskText(value)
    if (typeof value === 'number') return number(value)
    if (typeof value === 'boolean' || value === null) return value
    if (typeof value === 'bigint') return maskText(String(value))
    if (isLosslessNumber(value)) return value
    if (typeof value !== 'object') return undefined // not in JSON; left out as JSON.stringify does
    if (depth > MAX_DEPTH) return REDACTED
    if (Array.isArray(value)) return elements(value, element => walk(element, parent, depth + 1))
    return isPlain(value) ? object(value, parent, depth) : REDACTED
  }

  function number(value: number): unknown {
    if (!Number.isFinite(value)) return null // as JSON.stringify writes it
    return masksCards && isCardNumber(value) ? '[CARD]' : value
  }

  function elements(array: readonly unknown[], sanitized: (element: unknown) => unknown): unknown[] {
    const result: unknown[] = []
    for (let index = 0; index < array.length && valuesLeft-- > 0; index++) {
      result.push(sanitized(array[index]) ?? null)
    }
    return result
  }

  function object(input: Json, parent: Parent | undefined, depth: number): Json {
    const output: Json = {}
    const preserve = Object.hasOwn(input, '_preserveEmail') && input['_preserveEmail'] === true
    const hashes: string[] = [] // keys of hashes made here: they win over keys of that name in the input
    let twins = 1
    for (const key of Object.keys(input)) {
      if (key === '_preserveEmail') continue
      if (valuesLeft-- <= 0) break
      const field = fields.of(key)
      const rule = field.rules.length === 0 ? undefined : fields.ruleFor(field, parent)
      const value = input[key]
      if (rule === undefined) {
        if (hashes.includes(key)) continue
        // Two addresses as keys of one object: both are kept, under two names.
        const taken = field.name !== key && Object.hasOwn(output, field.name)
        const inside =
          typeof value === 'object' && fields.hasPaths ? { name: field.normal, parent } : undefined
        put(output, taken ? `${field.name} ${++twins}` : field.name, walk(value, inside, depth + 1))
      } else if (preserve && rule.preservable) {
        put(output, key, preserved(value, parent, depth + 1))
      } else {
        if (rule.action === 'hash') hashes.push(rule.output)
        const inside = { name: field.normal, parent }
        put(output, rule.action === 'hash' ? rule.output : key, apply(rule, value, inside, depth + 1))
      }
    }
    return output
  }

  function apply(rule: FieldRule, value: unknown, parent: Parent, depth: number): unknown {
    if (rule.action === 'redact') return REDACTED
    if (rule.action === 'hash') return hashed(value, depth)
    if (depth > MAX_DEPTH) return REDACTED
    if (Array.isArray(value)) return elements(value, element => apply(rule, element, parent, depth + 1))
    if (typeof value !== 'string') return walk(value, parent, depth)
    if (rule.action === 'cut-query') return maskText(withoutQuery(value))
    return isAddress(value) ? digest(value) : maskText(value)
  }

  /** What replaces the value of a hashed field. */
  function hashed(value: unknown, depth = 0): unknown {
    if (value === null || value === undefined) return null
    if (typeof value === 'string') return digest(value)
    if (typeof value === 'bigint') return digest(String(value))
    if (typeof value === 'number') return Number.isFinite(value) ? digest(String(value)) : null
    if (!Array.isArray(value) || depth > MAX_DEPTH) return REDACTED
    return elements(value, element => hashed(element, depth + 1))
  }

  /** Only text stays as it is, alone or in an array; an object in its place is sanitized like any other. */
  function preserved(value: unknown, parent: Parent | undefined, depth: number): unknown {
    if (typeof value === 'string') return value
    if (!Array.isArray(value) || depth > MAX_DEPTH) return walk(value, parent, depth)
    return elements(value, element => preserved(element, parent, depth + 1))
  }

  function harmless<T>(act: () => T, otherwise: T): T {
    valuesLeft = MAX_VALUES
    try {
      return act()
    } catch {
      // Getters and proxies may throw, a caller may have used up the stack: then nothing of it leaves.
      return otherwise
    }
  }

  return {
    value: json => harmless(() => walk(json, undefined, 0) ?? null, REDACTED),
    token: text => harmless(() => maskText(text), REDACTED)
  }
}

function compileDigest(key: string | undefined): (text: string) => string {
  const canonical = (text: string) => text.trim().toLowerCase()
  if (key === undefined) return text => hash('sha256', canonical(text), 'hex')
  return text => createHmac('sha256', key).update(canonical(text)).digest('hex')
}

function withoutQuery(url: string): string {
  const end = url.search(/[?#]/)
  return end === -1 ? url : url.slice(0, end)
}

/** Plain as JSON.parse makes it, also in another realm. A Map, a Buffer, a boxed string is not. */
function isPlain(value: object): value is Json {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null
}

/** An own key `__proto__` stays an own key. Assignment would change the prototype instead. */
function put(output: Json, key: string, value: unknown): void {
  if (value === undefined) return
  if (key === '__proto__') {
    Object.defineProperty(output, key, { value, writable: true, enumerable: true, configurable: true })
  } else output[key] = value
}
