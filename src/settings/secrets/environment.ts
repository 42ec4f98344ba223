// Tested by test/settings/config.test.ts and test/cli/rotate/command.test.ts.
import { Secret } from '../../secret.ts'
import { type Environment, nonEmpty } from '../environment.ts'
import { variables } from '../variables.ts'
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
  const text = nonEmpty(env, variable, allowedIn(variable))
  return text === undefined ? undefined : new Secret(text)
}

/** `cio-webhook rotate` also reads variables that the table does not have. */
const allowedIn = (variable: string): string | undefined =>
  Object.entries(variables).find(([name]) => name === variable)?.[1].allowed

function environmentSecret(variable: string, current: Secret, previous: Secret | undefined): SecretHandle {
  const instruction = `give its file as ${variable}_FILE`
  return fixedSecret(variable, `the environment variable ${variable}`, instruction, current, previous)
}

/**
 * A secret whose value is fixed for the life of the process.
 *
 * @param setting see `SecretHandle`
 * @param instruction how to make it one that a command can change
 */
export function fixedSecret(
  setting: string,
  place: string,
  instruction: string,
  current: Secret,
  previous?: Secret
): SecretHandle {
  const readOnly = async (): Promise<never> => {
    throw new ReadOnlySecretError(
      `no command can change ${place}: ${instruction}, or set it by hand and restart one replica after the other`
    )
  }
  return {
    place,
    setting,
    refreshMs: undefined,
    versions: async () => ({ current, previous, pending: undefined }),
    promote: value => (value.equals(current) ? Promise.resolve() : readOnly()),
    forgetPrevious: () => (previous === undefined ? Promise.resolve() : readOnly()),
    keepPrevious: async () => false
  }
}
