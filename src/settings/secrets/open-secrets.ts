// Tested by test/cli/providers.slow.test.ts and test/settings/signing-keys.test.ts.
import { ConfigError } from '../../errors.ts'
import type { Environment } from '../environment.ts'
import { providerCredentials } from '../provider-variables.ts'
import { type VariableName, variables } from '../variables.ts'
import { environmentStore } from './environment.ts'
import { fileStore } from './file.ts'
import {
  type SecretHandle,
  type SecretStore,
  type Secrets,
  secretNameOf,
  variableOf,
  withPrevious
} from './secret-handle.ts'

/** All stores together. What the environment names (`NAME`, `NAME_FILE`) comes first, then the provider. */
export interface OpenSecrets extends Secrets {
  /** The secret that a variable gives, itself or as `…_FILE`; it need not be a variable of the service. */
  findVariable(variable: string): SecretHandle | undefined
  /** Like `find`, but without signing keys that no variable names. */
  findStored(name: string): SecretHandle | undefined
  /** The place of a new secret: a variable of its own, else the folder or the provider of the one it replaces. */
  sibling(name: string, newName: string): SecretHandle | undefined
  close(): void
}

interface SecretSources {
  readonly env: Environment
  readonly provider: SecretStore | undefined
  /** A secret that no variable names: the signing key of a further source, or the development key. */
  readonly findKey: (name: string) => SecretHandle | undefined
}

const PREVIOUS = '_PREVIOUS'

/** Secrets with a variable of their own. `NAME_PREVIOUS` is the previous value of `NAME`. */
export const secretVariables: readonly VariableName[] = (Object.keys(variables) as VariableName[]).filter(
  name => variables[name].secret && !name.endsWith(PREVIOUS)
)

export function openSecrets({ env, provider, findKey }: SecretSources): OpenSecrets {
  const named = new Set(secretVariables.map(secretNameOf))
  const stores = [environmentStore(env), fileStore(env)]
  const fromEnvironment = (name: string): SecretHandle | undefined => {
    const [value, file] = stores.map(store => store.find(name))
    if (value === undefined || file === undefined) return value ?? file
    const variable = variableOf(name)
    throw new ConfigError(`${variable} and ${variable}_FILE are both set: unset one of them`)
  }
  const stored = (name: string): SecretHandle | undefined =>
    providerCredentials.has(variableOf(name)) ? undefined : provider?.find(name)
  const find = (name: string): SecretHandle | undefined => {
    if (!named.has(name)) return findKey(name) ?? stored(name)
    const handle = fromEnvironment(name) ?? findKey(name) ?? stored(name)
    // The two values can be in different places, such as a file and a variable.
    return handle && withPrevious(handle, fromEnvironment(name + secretNameOf(PREVIOUS)))
  }
  return {
    find,
    findStored: name => fromEnvironment(name) ?? stored(name),
    findVariable: variable => fromEnvironment(secretNameOf(variable)),
    sibling: (name, newName) =>
      fromEnvironment(newName) ?? find(name)?.sibling?.(newName) ?? provider?.find(newName),
    close: () => provider?.close()
  }
}
