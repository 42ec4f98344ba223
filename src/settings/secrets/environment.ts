import type { Secret } from '../../secret.ts'
import { ReadOnlySecretError, type SecretHandle } from './secret-handle.ts'

/** A secret that stands in an environment variable: fixed for as long as the process lives. */
export function environmentSecret(
  variable: string,
  current: Secret,
  previous: Secret | undefined
): SecretHandle {
  const readOnly = async (): Promise<never> => {
    throw new ReadOnlySecretError(
      `${variable} stands in the environment, which no command can change: give its file as ${variable}_FILE, or set it by hand and restart one replica after the other`
    )
  }
  return {
    place: `the environment variable ${variable}`,
    refreshMs: undefined,
    versions: async () => ({ current, previous, pending: undefined }),
    setActive: value => (value.equals(current) ? Promise.resolve() : readOnly()),
    forgetPrevious: () => (previous === undefined ? Promise.resolve() : readOnly()),
    keepPrevious: async () => false
  }
}
