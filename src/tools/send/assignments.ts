import { isLosslessNumber, withExactNumbers } from '../../exact-json.ts'

/** One `--set`: a path in an event, and its value. */
export interface Assignment {
  readonly path: readonly string[]
  /** Text, or JSON whose numbers keep their digits. */
  readonly value: unknown
}

/**
 * @param text `data.customer_id=42`; the value is JSON if it parses as JSON, otherwise text
 * @returns `undefined` without a path or without `=`
 */
export function parseAssignment(text: string): Assignment | undefined {
  const equals = text.indexOf('=')
  const path = text.slice(0, Math.max(0, equals)).split('.')
  if (path.includes('')) return undefined
  return { path, value: parseValue(text.slice(equals + 1)) }
}

function parseValue(text: string): unknown {
  try {
    return withExactNumbers(JSON.parse(text), text)
  } catch {
    return text
  }
}

/**
 * Sets the value at a path. A missing parent becomes an object, or an array if the next part of the path is `0`.
 *
 * @returns a copy of the target
 * @throws RangeError if a parent is a text or a number, or an index is beyond the end of its array
 */
export function assign(target: unknown, { path, value }: Assignment, depth = 0): unknown {
  const [name] = path.slice(depth)
  if (name === undefined) return value
  const container = target ?? (name === '0' ? [] : {})
  if (Array.isArray(container)) {
    const index = Number(name)
    if (!/^\d{1,9}$/.test(name) || index > container.length) {
      throw new RangeError(
        `${parentName(path, depth)} is an array of ${container.length} items: give an index`
      )
    }
    const copy: unknown[] = [...container]
    copy[index] = assign(copy[index], { path, value }, depth + 1)
    return copy
  }
  if (!isObject(container)) throw new RangeError(`${parentName(path, depth)} is not an object or an array`)
  // A computed name sets __proto__ as an ordinary field.
  return { ...container, [name]: assign(ownValue(container, name), { path, value }, depth + 1) }
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)

const ownValue = (object: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(object, name) ? object[name] : undefined

const parentName = (path: readonly string[], depth: number): string =>
  depth === 0 ? 'the event' : path.slice(0, depth).join('.')
