// Tested by test/settings/config.test.ts.
import { ConfigError } from '../errors.ts'

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The text of a setting for people. It may have a password where none belongs, such as the whole URL of a Redis in
 * REDIS_SENTINELS: what stands before an `@` like a login in a URL is not shown.
 */
export const withoutLogin = (text: string): string =>
  text.replace(/\S+/g, word => {
    const at = word.lastIndexOf('@')
    return /[/:]/.test(word.slice(0, Math.max(0, at))) ? `[secret]${word.slice(at)}` : word
  })

/**
 * @returns the text of a variable; `undefined` if it is unset
 * @throws ConfigError for a variable that is set but empty
 */
export function nonEmpty(env: Environment, variable: string, allowed = 'a value'): string | undefined {
  const text = env[variable]
  if (text === '') throw new ConfigError(`${variable} is set but empty: unset it, or give ${allowed}`)
  return text
}
