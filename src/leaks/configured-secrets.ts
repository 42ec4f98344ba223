import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readSecretFile, readSourcesFile } from '../config/sources.ts'
import { variables } from '../config/variables.ts'
import { DEVELOPMENT_KEY_FILE } from '../credentials/development-key.ts'
import { Secret } from '../credentials/secret.ts'
import { ConfigError } from '../errors.ts'

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

type Environment = Readonly<Record<string, string | undefined>>

/** A shorter value is found in too many places where nobody has put it. */
const MIN_CHARACTERS = 8

/**
 * The secrets in the environment, read as the service reads them but without asking for a whole configuration:
 * a build machine that looks for leaks has no Redis. Of a URL only its password is one.
 *
 * @throws ConfigError for a file that is named but can't be read
 */
export function configuredSecrets(env: Environment): ConfiguredSecrets {
  const names = Object.entries(variables).flatMap(([name, { secret }]) => (secret ? [name] : []))
  const found: { name: string; value: string }[] = []
  for (const name of names) {
    const value = readValue(env, name)
    if (value !== undefined) found.push({ name, value })
  }
  if (env['CIO_SOURCES_FILE'] !== undefined) {
    for (const source of readSourcesFile('CIO_SOURCES_FILE', env['CIO_SOURCES_FILE']).sources) {
      for (const { label, secret } of source.keys) {
        found.push({ name: `CIO_SOURCES_FILE:${source.name}:${label}`, value: secret.reveal() })
      }
    }
  }
  if (env['CONSUMERS_FILE'] !== undefined) {
    found.push(...consumerSecrets(env['CONSUMERS_FILE']))
  }
  const made = developmentKeyIn(env['DATA_DIR'] ?? variables.DATA_DIR.fallback)
  if (made !== undefined) found.push({ name: `DATA_DIR/${DEVELOPMENT_KEY_FILE}`, value: made })

  return collect(found.flatMap(({ name, value }) => secretParts(name, value)))
}

function readValue(env: Environment, name: string): string | undefined {
  const path = env[`${name}_FILE`]
  const value = path === undefined ? env[name] : readSecretFile(`${name}_FILE`, path)
  return value === '' ? undefined : value
}

/** The key that a development start has made, if there is one. */
function developmentKeyIn(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, DEVELOPMENT_KEY_FILE), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/**
 * Whatever in the file of consumers is named like a secret or is a URL. Its schema belongs to the code that
 * republishes; to miss a key because that has grown would be worse than to look for one too many.
 */
function consumerSecrets(path: string): { name: string; value: string }[] {
  const found: { name: string; value: string }[] = []
  let tree: unknown
  try {
    tree = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new ConfigError(`CONSUMERS_FILE=${path}: the file can't be read as JSON`, { cause })
  }
  walk(tree, 'CONSUMERS_FILE')
  return found

  function walk(node: unknown, name: string): void {
    if (typeof node !== 'object' || node === null) return
    for (const [key, value] of Object.entries(node)) {
      const child = `${name}:${key}`
      if (typeof value !== 'string') walk(value, child)
      else if (/(secret|password|token|key|url|servers)\w*File$/i.test(key)) {
        found.push({ name: child, value: readSecretFile('CONSUMERS_FILE', value) })
      } else if (/secret|password|passwd|token|key$/i.test(key) || value.includes('://')) {
        found.push({ name: child, value })
      }
    }
  }
}

/** A URL is no secret, its password is; of `whsec_<base64>` the part behind the prefix is enough to find both. */
function secretParts(name: string, value: string): { name: string; value: string }[] {
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
function collect(found: readonly { name: string; value: string }[]): ConfiguredSecrets {
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
