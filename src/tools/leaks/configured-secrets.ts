import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import type { Environment } from '../../settings/environment.ts'
import { createReader, readVersions } from '../../settings/read-variables.ts'
import { DEVELOPMENT_KEY_FILE } from '../../settings/secrets/development-key.ts'
import { fileSecret } from '../../settings/secrets/file.ts'
import { secretVariables } from '../../settings/secrets/open-secrets.ts'
import { type SecretHandle, secretNameOf } from '../../settings/secrets/secret-handle.ts'

/** A value the service is configured with, and where it comes from. */
export interface NamedSecret {
  readonly name: string
  readonly secret: Secret
}

interface ConfiguredSecrets {
  readonly secrets: readonly NamedSecret[]
  /** Names whose value is too short to be looked for. */
  readonly tooShort: readonly string[]
}

interface NamedValue {
  readonly name: string
  readonly value: string
}

/** A shorter value occurs in too many places that are not leaks. */
const MIN_CHARACTERS = 8

const FILES_WITH_SECRETS = ['CIO_SOURCES_FILE', 'CONSUMERS_FILE'] as const

/**
 * The secrets of the service, from wherever it reads them, without asking for a complete configuration: a build
 * machine that looks for leaks has no Redis. Of a URL only its password is one.
 *
 * @throws ConfigError for a file that is named but cannot be read, and for a provider that does not answer
 */
export async function configuredSecrets(env: Environment): Promise<ConfiguredSecrets> {
  const reader = createReader(env)
  try {
    const found: NamedValue[] = []
    for (const name of secretVariables) {
      const secret = secretNameOf(name)
      found.push(...(await valuesOf(name, reader.secrets.findStored(secret))))
      for (const further of [`${name}_PREVIOUS`, `${name}_V2`]) {
        found.push(...(await valuesOf(further, reader.secrets.findVariable(further))))
      }
    }
    for (const name of FILES_WITH_SECRETS) {
      const path = reader.value(name)
      if (path !== undefined) found.push(...(await secretsInJson(name, path)))
    }
    const made = developmentKeyIn(reader.value('DATA_DIR'))
    if (made !== undefined) found.push({ name: `DATA_DIR/${DEVELOPMENT_KEY_FILE}`, value: made })
    return collect(found.flatMap(({ name, value }) => secretParts(name, value)))
  } finally {
    reader.secrets.close()
  }
}

/** All versions of a secret: while it is being replaced, also the previous and the next one. */
async function valuesOf(name: string, handle: SecretHandle | undefined): Promise<NamedValue[]> {
  if (handle === undefined) return []
  // The end of a rotation removes the file of the previous key, and leaves its name in the configuration.
  const mayBeMissing = /previous/i.test(name)
  const { current, previous, pending } = await readVersions(name, handle, { mayBeMissing })
  return [current, previous, pending].flatMap(value =>
    value === undefined ? [] : [{ name, value: value.reveal() }]
  )
}

/** The key that a development start has created, if there is one. */
function developmentKeyIn(dataDir: string): string | undefined {
  try {
    return readFileSync(join(dataDir, DEVELOPMENT_KEY_FILE), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/**
 * Everything in such a file that is named like a secret or is a URL. This does not use the schema of the file: to miss
 * a key because the schema has grown would be worse than to look for one value too many.
 */
async function secretsInJson(variable: string, path: string): Promise<NamedValue[]> {
  const found: NamedValue[] = []
  let tree: unknown
  try {
    tree = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new ConfigError(`${variable}=${path}: the file can't be read as JSON`, { cause })
  }
  await walk(tree, variable)
  return found

  async function walk(node: unknown, name: string): Promise<void> {
    if (typeof node !== 'object' || node === null) return
    for (const [key, value] of Object.entries(node)) {
      const child = `${name}:${key}`
      if (typeof value !== 'string') await walk(value, child)
      else if (/(?:secret|password|token|key|url|servers)\w*File$/i.test(key)) {
        const setting = `${variable}: ${key}=${value}`
        found.push(...(await valuesOf(child, fileSecret({ path: value, previousPath: undefined, setting }))))
      } else if (/secret|password|passwd|token|key$/i.test(key) || value.includes('://')) {
        found.push({ name: child, value })
      }
    }
  }
}

/** Of a URL only the password is a secret. Of `whsec_<base64>`, the part after the prefix is enough to find both. */
function secretParts(name: string, value: string): NamedValue[] {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value) && URL.canParse(value)) {
    const { password } = new URL(value)
    if (password === '') return []
    const decoded = safelyDecoded(password)
    const both = decoded === password ? [decoded] : [decoded, password]
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

/** One entry per value, with all of its names. */
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
