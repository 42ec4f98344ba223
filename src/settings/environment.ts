// Tested by test/settings/config.test.ts.
import { ConfigError } from '../errors.ts'

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The text of a setting for people. It may have a password where none belongs, such as the whole URL of a Redis in
 * REDIS_SENTINELS: if there is something like a login in a URL, nothing before its `@` is shown.
 */
export function withoutLogin(text: string): string {
  const at = text.lastIndexOf('@')
  return /[/:]/.test(text.slice(0, Math.max(0, at))) ? `[secret]${text.slice(at)}` : text
}

/**
 * @returns the text of a variable; `undefined` if it is unset
 * @throws ConfigError for a variable that is set but empty
 */
export function nonEmpty(env: Environment, variable: string, allowed = 'a value'): string | undefined {
  const text = env[variable]
  if (text === '') throw new ConfigError(`${variable} is set but empty: unset it, or give ${allowed}`)
  return text
}
