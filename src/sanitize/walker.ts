// Tested by test/sanitize/sanitize.test.ts
import { isLosslessNumber, stringifyExactly, withExactNumbers } from '../exact-json.ts'
import { isCardNumber } from './card.ts'
import { type Digest, isPlainEmail } from './digest.ts'
import { type Field, type FieldRule, type Fields, isFixed, type Parent } from './field-rules.ts'
import { isPlain, type Json, leastBytes, put, scalarText } from './json-value.ts'
import { maskId, mayHoldAddress } from './mask-id.ts'
import type { Pass, Place } from './pass.ts'
import { REDACTED } from './redacted.ts'
import { cleanUrl } from './url.ts'

/** Deeper than any event, and far from the end of the stack here and in JSON.stringify. Deeper values are redacted. */
export const MAX_DEPTH = 500
/**
 * A body of 5 MiB holds at most 2.6 million values (`[1,1,…`). Only values that did not come from JSON have more: a
 * cycle, or a graph that shares its nodes. The walk must end for these too.
 */
const MAX_VALUES = 3_000_000

/** Instead of a value that would grow beyond the budget. The budget is then as it was before the value. */
export const TOO_LARGE = Symbol('too large')
type WalkerOptions = { readonly fields: Fields; readonly masksCards: boolean; readonly digest: Digest }

/** Of six digits: shorter values are not searched for. */
const LEAST_REPEATED = 1e5
const REDACTED_BYTES = REDACTED.length + 2
const HASH_BYTES = 64 + 2

/** The one function that reads values by the rules. It may throw: getters and proxies do, and the stack ends. */
export function compileWalker({ fields, masksCards, digest }: WalkerOptions) {
  let pass: Pass
  let valuesLeft: number

  function walk(value: unknown, place: Place, parent: Parent | undefined, depth: number): unknown {
    if (typeof value === 'string') return text(value, place)
    if (typeof value === 'number') {
      if (Math.abs(value) < LEAST_REPEATED) return value
      return Number.isFinite(value) ? number(String(value), value, place) : null // as JSON.stringify writes it
    }
    if (typeof value === 'boolean' || value === null) return value
    if (typeof value === 'bigint') return text(String(value), place)
    if (typeof value !== 'object') return undefined // not in JSON; left out as JSON.stringify does
    if (depth > MAX_DEPTH) return redacted(value)
    if (Array.isArray(value)) return elements(value, element => walk(element, place, parent, depth + 1))
    if (isPlain(value)) return object(value, parent, depth)
    return isLosslessNumber(value) ? number(value.value, value, place) : redacted(value)
  }

  function text(value: string, place: Place): unknown {
    const masked = mask(value, place)
    if (place === 'error text') pass.errorTexts.push(masked)
    if (masked === value) return value
    return pass.budget.take(masked.length - value.length) ? masked : TOO_LARGE
  }

  function mask(value: string, place: Place): string {
    if (pass.repeated !== undefined && place !== 'fixed')
      return pass.repeated.mask(value, place === 'error text')
    pass.texts.push(value)
    return pass.maskText(value)
  }

  /** `value`: a number or a LosslessNumber with these digits. */
  function number(digits: string, value: unknown, place: Place): unknown {
    if (pass.repeated === undefined) pass.numbers.push(digits)
    else if (place !== 'fixed') {
      const masked = pass.repeated.maskNumber(digits)
      if (masked !== undefined)
        return pass.budget.take(masked.length + 2 - digits.length) ? masked : TOO_LARGE
    }
    return masksCards && isCardNumber(digits) ? '[CARD]' : value
  }

  function elements(array: readonly unknown[], sanitized: (element: unknown) => unknown): unknown {
    const { left } = pass.budget
    const reserve = pass.budget.enter(array.length)
    const result: unknown[] = []
    for (let index = 0; index < array.length && valuesLeft-- > 0; index++) {
      let clean = sanitized(array[index])
      if (clean === TOO_LARGE) clean = redacted(array[index])
      if (clean === TOO_LARGE) {
        pass.budget.undo(left, reserve)
        return TOO_LARGE
      }
      result.push(clean ?? null)
    }
    pass.budget.leave(reserve)
    return result
  }

  function object(input: Json, parent: Parent | undefined, depth: number): unknown {
    const keys = Object.keys(input)
    const { left } = pass.budget
    const reserve = pass.budget.enter(keys.length)
    const preserve = Object.hasOwn(input, '_preserveEmail') && input['_preserveEmail'] === true
    const output: Json = {}
    const hashKeys: string[] = [] // they win over keys of that name in the input
    let copies = 1
    for (const key of keys) {
      if (key === '_preserveEmail') continue
      if (valuesLeft-- <= 0) break
      const field = fields.of(key)
      const rule = field.rules.length === 0 ? undefined : fields.ruleFor(field, parent, pass.event)
      const value = input[key]
      let name = key
      let clean: unknown
      if (rule === undefined || rule.action === 'keep') {
        if (hashKeys.includes(key)) continue
        name = nameOf(key, field)
        if (name !== key) {
          // Two addresses as keys of one object: both are kept, under two names. Each number is tried once.
          const masked = name
          while (Object.hasOwn(output, name) || Object.hasOwn(input, name)) name = `${masked} ${++copies}`
        }
        const inside =
          typeof value === 'object' && fields.hasPaths ? { name: field.normal, parent } : undefined
        clean = walk(value, placeOf(key, field), inside, depth + 1)
      } else if (rule.action === 'hash' && !(preserve && rule.preservable)) {
        name = rule.output
        if (!hashKeys.includes(name)) hashKeys.push(name)
        else if (output[name] !== null) {
          rememberAll(value, depth + 1) // another spelling of the same name came before
          continue
        }
        clean = hashed(value, depth + 1)
      } else if (preserve && rule.preservable) clean = preserved(value, parent, depth + 1)
      else clean = apply(rule, value, { name: field.normal, parent }, depth + 1)

      if (clean === TOO_LARGE) clean = redacted(value)
      if (clean === TOO_LARGE || !pass.budget.take(name.length - key.length)) {
        pass.budget.undo(left, reserve)
        return TOO_LARGE
      }
      put(output, name, clean)
    }
    pass.budget.leave(reserve)
    return output
  }

  function placeOf(key: string, field: Field): Place {
    if (field.isErrorText) return 'error text'
    return pass.repeated !== undefined && isFixed(key, field) ? 'fixed' : 'other'
  }

  /** The key without personal data. */
  function nameOf(key: string, field: Field): string {
    if (field.rules.length > 0) return field.name
    if (pass.repeated !== undefined) return pass.repeated.mask(key, false)
    pass.texts.push(key)
    return field.name
  }

  function apply(rule: FieldRule, value: unknown, parent: Parent, depth: number): unknown {
    if (rule.action === 'redact') return redacted(value)
    if (depth > MAX_DEPTH) return redacted(value)
    if (Array.isArray(value)) return elements(value, element => apply(rule, element, parent, depth + 1))
    if (rule.action === 'hash-in-place-if-address') return id(value, parent, depth)
    if (typeof value !== 'string') return walk(value, 'other', parent, depth)
    return rule.action === 'cut-query' ? url(value) : keptJson(value, parent, depth)
  }

  function redacted(value: unknown): unknown {
    if (value === REDACTED) return value
    return pass.budget.take(REDACTED_BYTES - leastBytes(value)) ? REDACTED : TOO_LARGE
  }

  /** The replacement for the value of a hashed field. */
  function hashed(value: unknown, depth: number): unknown {
    if (value === null || value === undefined || value === REDACTED) return value ?? null
    const scalar = scalarText(value)
    if (scalar !== undefined) return hashOf(scalar, leastBytes(value))
    if (typeof value === 'number') return null // not finite
    if (!Array.isArray(value) || depth > MAX_DEPTH) return redacted(value)
    return elements(value, element => hashed(element, depth + 1))
  }

  function hashOf(value: string, bytes: number): unknown {
    const growth = HASH_BYTES - bytes
    const known = pass.hashed.hashOf(value)
    if (known) return pass.budget.take(growth) ? known : TOO_LARGE
    const fits = !pass.collectsOnly && pass.budget.takeForHash(growth)
    const isEmail = isPlainEmail(value)
    const hash = !fits ? '' : isEmail ? digest.ofEmail(value) : digest.ofValue(value)
    pass.hashed.add(value, hash, isEmail)
    return fits ? hash : pass.collectsOnly ? null : TOO_LARGE
  }

  /** Values that are not shown, but may be elsewhere in the event. */
  function rememberAll(value: unknown, depth: number): void {
    const scalar = scalarText(value)
    if (scalar !== undefined) pass.hashed.add(scalar, '')
    if (!Array.isArray(value) || depth > MAX_DEPTH) return
    for (let index = 0; index < value.length && valuesLeft-- > 0; index++)
      rememberAll(value[index], depth + 1)
  }

  function id(value: unknown, parent: Parent, depth: number): unknown {
    if (typeof value === 'number') return Number.isFinite(value) ? value : null
    if (typeof value === 'bigint') return String(value)
    if (isLosslessNumber(value)) return value
    if (typeof value !== 'string') return walk(value, 'fixed', parent, depth)
    if (!mayHoldAddress(value)) return value
    const shown = pass.hashed.maskedIds.get(value) ?? maskId(value, digest)
    pass.hashed.maskedIds.set(value, shown)
    if (shown === value) return value
    pass.hashed.add(value, '')
    return pass.budget.takeForHash(shown.length - value.length) ? shown : TOO_LARGE
  }

  function url(value: string): unknown {
    const clean = cleanUrl(value)
    const masked = mask(clean, 'other')
    const shown = masked === clean ? clean : cleanUrl(masked)
    return pass.budget.take(shown.length - value.length) ? shown : TOO_LARGE
  }

  function keptJson(text: string, parent: Parent, depth: number): unknown {
    let json: unknown
    try {
      json = withExactNumbers(JSON.parse(text), text)
    } catch {
      return redacted(text) // not JSON, or nested deeper than the stack
    }
    if (typeof json !== 'object' || json === null) return redacted(text)
    const { left } = pass.budget
    const reserve = pass.budget.enter(0)
    const clean = walk(json, 'other', parent, depth + 1)
    if (clean === TOO_LARGE) return redacted(text)
    const written = stringifyExactly(clean)
    pass.budget.undo(left, reserve) // it is counted as it is written: with its quotes escaped
    return pass.budget.take(JSON.stringify(written).length - JSON.stringify(text).length)
      ? written
      : redacted(text)
  }

  /** Only text stays as it is, alone or in an array; an object in its place is sanitized like any other. */
  function preserved(value: unknown, parent: Parent | undefined, depth: number): unknown {
    if (typeof value === 'string') return value
    if (!Array.isArray(value) || depth > MAX_DEPTH) return walk(value, 'other', parent, depth)
    return elements(value, element => preserved(element, parent, depth + 1))
  }

  return (json: unknown, current: Pass): unknown => {
    pass = current
    valuesLeft = MAX_VALUES
    return walk(json, 'other', undefined, 0)
  }
}
