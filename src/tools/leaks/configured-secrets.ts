import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import { DEVELOPMENT_KEY_FILE } from '../../settings/secrets/development-key.ts'
import { readSecretFile } from '../../settings/sources.ts'
import { variables } from '../../settings/variables.ts'

/** A value the service is configured with, and where it comes from. */
export interface NamedSecret {
  readonly name: string
  readonly secret: Secret
}

export interface ConfiguredSecrets {
  readonly secrets: readonly NamedSecret[]
  /** Names whose value is too short to be looked for. */
  readonly tooShort: readonly string[]
}

interface NamedValue {
  readonly name: string
  readonly value: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** A shorter value is found in too many places where nobody has put it. */
const MIN_CHARACTERS = 8

const FILES_WITH_SECRETS = ['CIO_SOURCES_FILE', 'CONSUMERS_FILE']

/**
 * The secrets in the environment, read as the service reads them but without asking for a whole configuration:
 * a build machine that looks for leaks has no Redis. Of a URL only its password is one.
 *
 * @throws ConfigError for a file that is named but can't be read
 */
export function configuredSecrets(env: Environment): ConfiguredSecrets {
  const names = Object.entries(variables).flatMap(([name, { secret }]) => (secret ? [name] : []))
  const found = names.flatMap(name => [...valuesOf(env, name), ...valuesOf(env, `${name}_V2`)])
  for (const name of FILES_WITH_SECRETS) {
    const path = env[name]
    if (path !== undefined) found.push(...secretsInJson(name, path))
  }
  const made = developmentKeyIn(env['DATA_DIR'] ?? variables.DATA_DIR.fallback)
  if (made !== undefined) found.push({ name: `DATA_DIR/${DEVELOPMENT_KEY_FILE}`, value: made })

  return collect(found.flatMap(({ name, value }) => secretParts(name, value)))
}

/** A secret, and what lies beside its file while it is being replaced: the one before, and the next one. */
function valuesOf(env: Environment, name: string): NamedValue[] {
  const path = env[`${name}_FILE`]
  if (path !== undefined) return fileValues(`${name}_FILE`, name, path)
  const value = env[name] ?? ''
  return value === '' ? [] : [{ name, value }]
}

function fileValues(variable: string, name: string, path: string): NamedValue[] {
  const files = [`${path}.previous`, `${path}.pending`].filter(hasText)
  // The end of a rotation removes the previous key's file, and leaves its name in the configuration.
  if (!/previous/i.test(variable) || hasText(path)) files.unshift(path)
  return files.map(file => ({ name, value: readSecretFile(variable, file) }))
}

const hasText = (path: string): boolean => existsSync(path) && statSync(path).size > 0

/** The key that a development start has made, if there is one. */
function developmentKeyIn(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, DEVELOPMENT_KEY_FILE), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/**
 * Whatever in such a file is named like a secret or is a URL. Its schema belongs to the code that uses it; to miss
 * a key because that has grown would be worse than to look for one too many.
 */
function secretsInJson(variable: string, path: string): NamedValue[] {
  const found: NamedValue[] = []
  let tree: unknown
  try {
    tree = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new ConfigError(`${variable}=${path}: the file can't be read as JSON`, { cause })
  }
  walk(tree, variable)
  return found

  function walk(node: unknown, name: string): void {
    if (typeof node !== 'object' || node === null) return
    for (const [key, value] of Object.entries(node)) {
      const child = `${name}:${key}`
      if (typeof value !== 'string') walk(value, child)
      else if (/(?:secret|password|token|key|url|servers)\w*File$/i.test(key)) {
        found.push(...fileValues(`${variable} ${key}`, child, value))
      } else if (/secret|password|passwd|token|key$/i.test(key) || value.includes('://')) {
        found.push({ name: child, value })
      }
    }
  }
}

/** A URL is no secret, its password is; of `whsec_<base64>` the part behind the prefix is enough to find both. */
function secretParts(name: string, value: string): NamedValue[] {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value) && URL.canParse(value)) {
    const { password } = new URL(value)
    if (password === '') return []
    const given = safelyDecoded(password)
    const both = given === password ? [given] : [given, password]
    return both.map(part => ({ name: `${name} (password)`, value: part }))
  }
  return [{ name, value: value.replace(/^whsec_/, '') }]
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** One entry a value, under all of its names. */
function collect(found: readonly NamedValue[]): ConfiguredSecrets {
  const namesByValue = new Map<string, Set<string>>()
  const tooShort = new Set<string>()
  for (const { name, value } of found) {
    if (value.length < MIN_CHARACTERS) tooShort.add(name)
    else namesByValue.set(value, (namesByValue.get(value) ?? new Set()).add(name))
  }
  const secrets = [...namesByValue].map(([value, names]) => ({
    name: [...names].join(', '),
    secret: new Secret(value)
  }))
  return { secrets, tooShort: [...tooShort] }
}
