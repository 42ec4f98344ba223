import { type SecretSettings, secretVariables } from '../secret-locations.ts'
import { checkSigningKey } from '../sources.ts'
import { ConfigError } from '../../errors.ts'
import type { SecretProvider } from './open-secrets.ts'
import { secretNameOf } from './secret-handle.ts'

/** Without it nothing can be verified: a provider that refuses it is told, not guessed around. */
const REQUIRED = 'CIO_WEBHOOK_SECRET'

/**
 * The values of those secret variables that the environment leaves to the provider, by variable. A secret that
 * is not there, or that we may not read, is left out: only one that is needed stops the start.
 *
 * @throws ConfigError when the provider does not answer
 */
export async function providedValues(
  settings: Pick<SecretSettings, 'provider' | 'places'>,
  provider: SecretProvider
): Promise<Readonly<Record<string, string>>> {
  if (settings.provider === 'environment') return {}
  const asked = secretVariables.filter(variable => !settings.places.has(secretNameOf(variable)))
  const values = await Promise.all(
    asked
      .filter(variable => !variable.endsWith('_PREVIOUS'))
      .map(async variable => {
        const stored = provider.secret(secretNameOf(variable))
        try {
          const { current } = (await stored?.versions()) ?? {}
          if (variable === REQUIRED) {
            checkSigningKey(`${variable}: ${stored?.place}`, current?.reveal())
          }
          return current === undefined ? [] : [[variable, current.reveal()] as const]
        } catch (cause) {
          if (cause instanceof ConfigError) throw cause
          const name = cause instanceof Error ? cause.name : 'an unknown error'
          if (name === 'AccessDeniedException' && variable !== REQUIRED) return []
          throw new ConfigError(`${variable}: ${stored?.place} can't be read (${name})`, { cause })
        }
      })
  )
  return Object.fromEntries(values.flat())
}
