import { readFileSync } from 'node:fs'
import {
  findNodeAtLocation,
  getNodeValue,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode
} from 'jsonc-parser'
import type { z } from 'zod'
import { ConfigError, errorCode } from './errors.ts'

/**
 * Reads a JSON file that the operator wrote. Every refusal is one line with the variable, the file, the line
 * and the key; what stands in the file is never repeated, since it may be a secret.
 *
 * @param variable the environment variable that names the file
 * @throws ConfigError when the file can't be read, is not JSON, or does not fit the schema
 */
export function readJsonFile<T>(variable: string, path: string, schema: z.ZodType<T>): T {
  const text = readTextFile(variable, path)
  const read = parseJsonTree(text)
  if ('problem' in read) throw new ConfigError(`${variable}=${path}: ${read.problem}`)
  const tree: Node = read
  const parsed = schema.safeParse(getNodeValue(tree))
  if (parsed.success) return parsed.data

  const [issue] = parsed.error.issues
  const unknownKey = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const keys = [...(issue?.path ?? []), unknownKey]
    .filter(key => key !== undefined)
    .map(key => asJsonKey(key))
  const node = keys.length === 0 ? tree : (findNodeAtLocation(tree, keys) ?? nearest(keys))
  throw new ConfigError(
    `${variable}=${path}: line ${lineOf(text, node.offset)}: ${keys.join('.') || 'the file'}: ${
      unknownKey === undefined ? issue?.message : 'unknown key'
    }`
  )

  /** A missing key has no place of its own; what should hold it has. */
  function nearest(missing: readonly (string | number)[]) {
    for (let length = missing.length - 1; length > 0; length--) {
      const node = findNodeAtLocation(tree, missing.slice(0, length))
      if (node !== undefined) return node
    }
    return tree
  }
}

/** @returns the tree of a JSON text without comments, or the line that is not JSON and why */
export function parseJsonTree(text: string): Node | { readonly problem: string } {
  const errors: ParseError[] = []
  const tree = parseTree(text, errors, { disallowComments: true })
  const [error] = errors
  if (tree !== undefined && error === undefined) return tree
  const what = error === undefined ? 'no value' : printParseErrorCode(error.error)
  return { problem: `line ${lineOf(text, error?.offset ?? 0)}: not JSON (${what})` }
}

/** @throws ConfigError when the file can't be read */
export function readTextFile(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const code = errorCode(cause) ?? 'unreadable'
    throw new ConfigError(`${variable}=${path}: the file can't be read (${code})`, { cause })
  }
}

const asJsonKey = (key: PropertyKey): string | number => (typeof key === 'symbol' ? String(key) : key)

const lineOf = (text: string, offset: number): number => text.slice(0, offset).split('\n').length
