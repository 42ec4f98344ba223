import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { DEVELOPMENT_KEY_FILE } from './secrets/development-key.ts'
import type { SecretFile } from './secrets/file.ts'
import { secretNameOf } from './secrets/secret-handle.ts'
import { DEFAULT_SOURCE, signingKeyName } from './sources.ts'
import { type Values, variables } from './variables.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Where the environment says a secret is. */
export type SecretLocation =
  | { readonly kind: 'file'; readonly file: SecretFile }
  | {
      readonly kind: 'environment'
      readonly variable: string
      readonly current: Secret
      readonly previous: Secret | undefined
    }

/** By the secret's name, such as `cio-api-key`. What is not here may lie in the provider. */
export type SecretLocations = ReadonlyMap<string, SecretLocation>

export interface SecretSettings {
  readonly provider: Values['SECRETS_PROVIDER']
  /** What the names of secrets in the provider begin with. */
  readonly prefix: string
  /** How often the provider is asked for changes. */
  readonly refreshMs: number
  readonly places: SecretLocations
}

const PREVIOUS = '_PREVIOUS'

export const secretVariables: readonly string[] = Object.entries(variables)
  .filter(([, variable]) => variable.secret)
  .map(([name]) => name)

/**
 * The place of each secret that `NAME` or `NAME_FILE` gives. A variable `NAME_PREVIOUS` is no secret of its own
 * but the previous value of `NAME`. Reads no file.
 *
 * @throws ConfigError for a variable that is set but empty
 */
export function secretLocations(env: Environment): SecretLocations {
  const places = new Map<string, SecretLocation>()
  for (const variable of secretVariables) {
    if (variable.endsWith(PREVIOUS)) continue
    const place = locateVariable(env, variable)
    if (place !== undefined) places.set(secretNameOf(variable), place)
  }
  return places
}

/** The same for one variable, which need not be one the service knows. */
export function locateVariable(env: Environment, variable: string): SecretLocation | undefined {
  const path = given(env, `${variable}_FILE`)
  if (path !== undefined) {
    return { kind: 'file', file: { path, previousPath: given(env, `${variable}${PREVIOUS}_FILE`) } }
  }
  const value = given(env, variable)
  if (value === undefined) return undefined
  const previous = given(env, variable + PREVIOUS)
  return {
    kind: 'environment',
    variable,
    current: new Secret(value),
    previous: previous === undefined ? undefined : new Secret(previous)
  }
}

function given(env: Environment, variable: string): string | undefined {
  const value = env[variable]
  if (value === '') throw new ConfigError(`${variable} is set but empty: unset it, or give a value`)
  return value
}

/** @param keyFiles where signing keys of further sources lie, by their secret's name */
export function secretSettings(
  values: Values,
  env: Environment,
  keyFiles: ReadonlyMap<string, SecretFile> = new Map()
): SecretSettings {
  const places = new Map<string, SecretLocation>(secretLocations(env))
  for (const [name, file] of keyFiles) places.set(name, { kind: 'file', file })
  const developmentKey = join(values.DATA_DIR, DEVELOPMENT_KEY_FILE)
  const signingKey = signingKeyName(DEFAULT_SOURCE)
  // The key that a development start has made lies in a file like any other.
  if (values.NODE_ENV !== 'production' && values.SECRETS_PROVIDER === 'environment') {
    if (!places.has(signingKey) && existsSync(developmentKey)) {
      places.set(signingKey, { kind: 'file', file: { path: developmentKey, previousPath: undefined } })
    }
  }
  return {
    provider: values.SECRETS_PROVIDER,
    prefix: values.SECRETS_PREFIX ?? '',
    refreshMs: values.SECRETS_REFRESH_SECONDS * 1000,
    places
  }
}
