// Tested by test/settings/config.test.ts and test/cli/rotate/command.test.ts.
import { Secret } from '../../secret.ts'
import { type Environment, nonEmpty } from '../environment.ts'
import { ReadOnlySecretError, type SecretHandle, type SecretStore, variableOf } from './secret-handle.ts'

/** Secrets in environment variables: `NAME`, and `NAME_PREVIOUS` for the previous value. */
export function environmentStore(env: Environment): SecretStore {
  return {
    find: name => {
      const variable = variableOf(name)
      const current = secretIn(env, variable)
      return current && environmentSecret(variable, current, secretIn(env, `${variable}_PREVIOUS`))
    },
    close: () => {}
  }
}

function secretIn(env: Environment, variable: string): Secret | undefined {
  const text = nonEmpty(env, variable)
  return text === undefined ? undefined : new Secret(text)
}

/** The value is fixed for the life of the process. */
function environmentSecret(variable: string, current: Secret, previous: Secret | undefined): SecretHandle {
  const readOnly = async (): Promise<never> => {
    throw new ReadOnlySecretError(
      `${variable} stands in the environment, which no command can change: give its file as ${variable}_FILE, or set it by hand and restart one replica after the other`
    )
  }
  return {
    place: `the environment variable ${variable}`,
    setting: variable,
    refreshMs: undefined,
    versions: async () => ({ current, previous, pending: undefined }),
    promote: value => (value.equals(current) ? Promise.resolve() : readOnly()),
    forgetPrevious: () => (previous === undefined ? Promise.resolve() : readOnly()),
    keepPrevious: async () => false
  }
}
