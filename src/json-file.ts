// Tested by test/settings/consumers-file.test.ts
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
 * Reads a JSON file that the operator wrote. Every refusal is one line with the variable, the file, the line, the key
 * and what is expected. It never repeats the content of the file, which may be a secret.
 *
 * @param variable the environment variable that names the file
 * @throws ConfigError when the file can't be read, is not JSON, or does not fit the schema
 */
export function readJsonFile<T>(variable: string, path: string, schema: z.ZodType<T>): T {
  const text = readTextFile(variable, path)
  const read = parseJsonTree(text)
  if ('problem' in read) throw new ConfigError(`${variable}=${path}: ${read.problem}`)
  const tree: Node = read
  const parsed = schema.safeParse(getNodeValue(tree), { error: describeIssue })
  if (parsed.success) return parsed.data

  // A misspelt key is also a missing one: name the cause.
  const { issues } = parsed.error
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]
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

  /** A missing key has no place of its own: take the object that should contain it. */
  function nearest(missing: readonly (string | number)[]) {
    for (let length = missing.length - 1; length > 0; length--) {
      const node = findNodeAtLocation(tree, missing.slice(0, length))
      if (node !== undefined) return node
    }
    return tree
  }
}

/** Codes of jsonc-parser in words. */
const syntaxErrors: Readonly<Record<string, string>> = {
  PropertyNameExpected: 'a key in double quotes is expected',
  ValueExpected: 'a value is expected',
  ColonExpected: 'a colon is expected',
  CommaExpected: 'a comma is expected',
  CloseBraceExpected: 'a } is expected',
  CloseBracketExpected: 'a ] is expected',
  EndOfFileExpected: 'there is text after the end',
  InvalidCommentToken: 'comments are not allowed',
  UnexpectedEndOfString: 'a string is not closed'
}

/** @returns the tree of a JSON text without comments, or the line that is not JSON and why */
export function parseJsonTree(text: string): Node | { readonly problem: string } {
  const errors: ParseError[] = []
  const tree = parseTree(text, errors, { disallowComments: true })
  const [error] = errors
  if (tree !== undefined && error === undefined) return tree
  const code = error === undefined ? 'ValueExpected' : printParseErrorCode(error.error)
  const what = syntaxErrors[code] ?? 'unexpected text'
  return { problem: `line ${lineOf(text, error?.offset ?? 0)}: not JSON (${what})` }
}

const typeNames: Readonly<Record<string, string>> = {
  int: 'a whole number',
  number: 'a number',
  string: 'a text',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object'
}

/**
 * The messages of zod in words, for those rules of a schema that have no message of their own.
 *
 * @returns what is expected, without the value that was found
 */
export function describeIssue(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type': {
      const expected = typeNames[issue.expected] ?? issue.expected
      return issue.input === undefined ? `is missing: give ${expected}` : `must be ${expected}`
    }
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`
    case 'unrecognized_keys':
      return `unknown key ${JSON.stringify(issue.keys[0])}`
    case 'too_small':
    case 'too_big': {
      const isNumber = typeof issue.input === 'number'
      if (!isNumber && issue.code === 'too_small' && issue.minimum === 1) return 'must not be empty'
      const limit = issue.code === 'too_small' ? `at least ${issue.minimum}` : `at most ${issue.maximum}`
      return `must ${isNumber ? 'be' : 'have a length of'} ${limit}`
    }
    default:
      return 'is not allowed here'
  }
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
