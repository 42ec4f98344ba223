// Tested by test/settings/config.test.ts.
import { ConfigError } from '../errors.ts'

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * @returns the text of a variable; `undefined` if it is unset
 * @throws ConfigError for a variable that is set but empty
 */
export function nonEmpty(env: Environment, variable: string, allowed = 'a value'): string | undefined {
  const text = env[variable]
  if (text === '') throw new ConfigError(`${variable} is set but empty: unset it, or give ${allowed}`)
  return text
}
