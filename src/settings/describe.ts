// Tested by test/settings/config.test.ts.
import { withoutLogin } from './environment.ts'
import { causeOf, type Reader } from './read-variables.ts'
import { type SecretHandle, secretNameOf } from './secrets/secret-handle.ts'
import { DEFAULT_SOURCE, signingKeyName } from './sources.ts'
import { isSecret, type PlainName, type VariableName, variables } from './variables.ts'

/** A variable that differs from its default. */
interface ChangedSetting {
  readonly name: PlainName
  readonly value: string
  /** `undefined` if there is none. */
  readonly fallback: string | undefined
}

/** Where a secret comes from. Its value is never shown. */
interface SecretPlace {
  /** `CIO_API_KEY`, or `signing key of <source>`. */
  readonly name: string
  /** Such as `the file /run/secrets/cio-api-key`. */
  readonly place: string
  /** The ids of its values, only of signing keys. */
  readonly current?: string | undefined
  readonly previous?: string | undefined
  /** Why it cannot be read. */
  readonly problem?: string
}

/** The effective configuration, without a secret. */
export interface Configuration {
  readonly changed: readonly ChangedSetting[]
  readonly secrets: readonly SecretPlace[]
}

/** Reads the stores of signing keys, for the ids of keys. Never rejects for a store that cannot be read. */
export async function describeConfiguration(reader: Reader): Promise<Configuration> {
  const names = Object.keys(variables) as VariableName[]
  const changed = names.flatMap((name): readonly ChangedSetting[] => {
    if (isSecret(name)) return []
    const value = reader.given(name)
    const { fallback } = variables[name]
    return value === undefined || value === fallback ? [] : [{ name, value: withoutLogin(value), fallback }]
  })
  const places = names.flatMap((name): readonly SecretPlace[] => {
    if (!isSecret(name) || /^CIO_WEBHOOK_SECRET/.test(name)) return []
    const handle = reader.secrets.find(secretNameOf(name))
    if (handle === undefined) return []
    // Not read: only the operator of the store knows whether an optional secret is there.
    const place = handle.setting === undefined ? `${handle.place}, if it exists` : handle.place
    return [{ name, place }]
  })
  return { changed, secrets: [...(await signingKeys(reader)), ...places] }
}

async function signingKeys(reader: Reader): Promise<readonly SecretPlace[]> {
  const sources = [DEFAULT_SOURCE, ...reader.sourcesFile().map(({ name }) => name)]
  const places = sources.map(async (source): Promise<readonly SecretPlace[]> => {
    const handle = reader.secrets.find(signingKeyName(source))
    return handle === undefined ? [] : [await signingKeyPlace(`signing key of ${source}`, handle)]
  })
  return (await Promise.all(places)).flat()
}

async function signingKeyPlace(name: string, handle: SecretHandle): Promise<SecretPlace> {
  const { place } = handle
  try {
    const { current, previous } = await handle.versions()
    return { name, place, current: current?.id, previous: previous?.id }
  } catch (error) {
    return { name, place, problem: causeOf(error) }
  }
}
