// Tested by test/settings/config.test.ts and test/settings/signing-keys.test.ts.
import { existsSync } from 'node:fs'
import { ConfigError, errorCode, ReportedError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { type Environment, nonEmpty, withoutLogin } from './environment.ts'
import { type Parser, refusalOf } from './parse.ts'
import { awsStore } from './secrets/aws.ts'
import { azureStore } from './secrets/azure.ts'
import { developmentKeyFile } from './secrets/development-key.ts'
import { fileSecret } from './secrets/file.ts'
import { googleStore } from './secrets/google.ts'
import { type OpenSecrets, openSecrets } from './secrets/open-secrets.ts'
import {
  type SecretHandle,
  type SecretStore,
  type SecretVersions,
  secretNameOf
} from './secrets/secret-handle.ts'
import { StoreError } from './secrets/store-request.ts'
import { wrongEncoding } from './secrets/stray-characters.ts'
import { vaultStore } from './secrets/vault.ts'
import { DEFAULT_SOURCE, type FurtherSource, readSourcesFile, signingKeyName } from './sources.ts'
import type { Variable } from './variable.ts'
import {
  isSecret,
  type PlainName,
  type SecretName,
  type Values,
  type VariableName,
  type VariableReader,
  variables
} from './variables.ts'

/** Reads variables by the table in variables.ts, and secrets from their stores. */
export interface Reader extends VariableReader {
  /** The text that the operator gave, unparsed; `undefined` if it is unset. Never that of a secret. */
  given(name: PlainName): string | undefined
  /** The further sources of `CIO_SOURCES_FILE`, read on first use. */
  sourcesFile(): readonly FurtherSource[]
  /** Checks every variable that is set, also those that nothing uses. */
  checkAll(): Promise<void>
  readonly secrets: OpenSecrets
}

/** Opens a store for secrets that the environment does not name. A further provider needs one entry here. */
const providers: Readonly<
  Record<
    Exclude<Values['SECRETS_PROVIDER'], 'environment'>,
    (prefix: string, refreshMs: number, reader: VariableReader) => SecretStore
  >
> = { aws: awsStore, vault: vaultStore, gcp: googleStore, azure: azureStore }

export function createReader(env: Environment): Reader {
  let sources: readonly FurtherSource[] | undefined
  const provider = value('SECRETS_PROVIDER')
  const secrets = openSecrets({ env, provider: openProvider(), findKey })

  return { value, given: name => env[name], secret, sourcesFile, checkAll, secrets }

  function value<Name extends PlainName>(name: Name): Values[Name] {
    const variable: Variable<unknown> = variables[name]
    const text = nonEmpty(env, name, variable.allowed) ?? variable.fallback
    if (text === undefined) return undefined as Values[Name]
    const parsed = variable.parse(text)
    if (parsed !== undefined) return parsed as Values[Name]
    throw new ConfigError(
      `${name}=${JSON.stringify(withoutLogin(text)).slice(1, -1)} is not allowed: ${refusalOf(variable, text)}`
    )
  }

  async function secret(name: SecretName): Promise<Secret | undefined> {
    const isPrevious = name.endsWith('_PREVIOUS')
    const handle = isPrevious ? secrets.findVariable(name) : secrets.find(secretNameOf(name))
    return handle && readSecret(name, handle, variables[name], { mayBeMissing: isPrevious })
  }

  function sourcesFile(): readonly FurtherSource[] {
    const path = value('CIO_SOURCES_FILE')
    sources ??= path === undefined ? [] : readSourcesFile('CIO_SOURCES_FILE', path)
    return sources
  }

  async function checkAll(): Promise<void> {
    for (const name of Object.keys(variables) as VariableName[]) {
      if (!isSecret(name)) value(name)
      // A secret that only the provider has is requested by the part that needs it.
      else if (secrets.findVariable(name) !== undefined) await secret(name)
    }
  }

  function openProvider(): SecretStore | undefined {
    if (provider === 'environment') return undefined
    const refreshMs = value('SECRETS_REFRESH_SECONDS') * 1000
    return providers[provider](value('SECRETS_PREFIX') ?? '', refreshMs, { value, secret })
  }

  function findKey(name: string): SecretHandle | undefined {
    if (name !== signingKeyName(DEFAULT_SOURCE)) {
      if (!name.startsWith(signingKeyName(''))) return undefined
      return sourcesFile().find(source => signingKeyName(source.name) === name)?.key
    }
    if (provider !== 'environment' || value('NODE_ENV') === 'production') return undefined
    const file = developmentKeyFile(value('DATA_DIR'))
    return existsSync(file.path) ? fileSecret(file) : undefined
  }
}

/** The previous key may be missing: `cio-webhook rotate finish` removes it, and leaves its name in the configuration. */
interface ReadOptions {
  readonly mayBeMissing?: boolean
}

/**
 * The current value of a secret, checked.
 *
 * @param name its variable
 * @throws ConfigError as `readVersions`, and for a value that is not allowed
 */
export async function readSecret(
  name: string,
  handle: SecretHandle,
  parser: Parser<string>,
  options?: ReadOptions
): Promise<Secret | undefined> {
  const text = (await readVersions(name, handle, options)).current?.reveal()
  if (text === undefined) return undefined
  const parsed = parser.parse(text)
  const problem = parsed === undefined ? refusalOf(parser, text) : wrongEncoding(text)
  if (parsed !== undefined && problem === undefined) return new Secret(parsed)
  throw new ConfigError(`${handle.setting ?? `${name}: ${handle.place}`} is not allowed: ${problem}`)
}

/**
 * Reads a secret, at the start of the service or for a command.
 *
 * @param name its variable
 * @throws ConfigError if it cannot be read, or if the operator names a file that is missing
 */
export async function readVersions(
  name: string,
  handle: SecretHandle,
  { mayBeMissing = false }: ReadOptions = {}
): Promise<Partial<SecretVersions>> {
  let versions: SecretVersions
  try {
    versions = await handle.versions()
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause
    // Not every command may read every secret. Without the signing key nothing can be verified, so that is reported.
    if (isAccessDenied(cause) && name !== 'CIO_WEBHOOK_SECRET') return {}
    const what = handle.setting === undefined ? `${name}: ${handle.place}` : `${handle.setting}: the file`
    throw new ConfigError(`${what} can't be read (${causeOf(cause)})`, { cause })
  }
  if (versions.current === undefined && handle.setting !== undefined && !mayBeMissing) {
    throw new ConfigError(`${handle.setting}: the file is missing or empty`)
  }
  return versions
}

const isAccessDenied = (error: unknown): boolean =>
  (error instanceof StoreError && error.isDenied) ||
  (error instanceof Error && error.name === 'AccessDeniedException')

/** Why a secret cannot be read, without its value. */
export function causeOf(error: unknown): string {
  if (error instanceof ReportedError) return error.message
  return errorCode(error) ?? (error instanceof Error ? error.name : 'unknown error')
}
