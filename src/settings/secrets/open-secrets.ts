import { dirname, join } from 'node:path'
import type { SecretLocation, SecretLocations, SecretSettings } from '../secret-locations.ts'
import { ConfigError } from '../../errors.ts'
import { awsSecret, connectSecretsManager } from './aws.ts'
import { environmentSecret } from './environment.ts'
import { fileSecret } from './file.ts'
import type { Secrets, SecretHandle } from './secret-handle.ts'

/** Where secrets lie that the environment does not name. */
export interface SecretProvider {
  /** `undefined` where there is no provider. */
  secret(name: string): SecretHandle | undefined
  close(): void
}

/** @throws ConfigError when the provider can't be used at all */
export async function connectProvider(
  settings: Pick<SecretSettings, 'provider' | 'prefix' | 'refreshMs'>
): Promise<SecretProvider> {
  if (settings.provider === 'environment') return { secret: () => undefined, close: () => {} }
  const client = await connectSecretsManager()
  try {
    await client.config.region()
  } catch (cause) {
    throw new ConfigError('AWS_REGION is missing: SECRETS_PROVIDER=aws needs the region of the secrets', {
      cause
    })
  }
  return {
    secret: name => awsSecret(client, settings.prefix + name, settings.refreshMs),
    close: () => client.destroy()
  }
}

export interface LocatedSecrets extends Secrets {
  /** A secret that lies where another one does: in the same folder, or in the same provider. */
  beside(name: string, newName: string): SecretHandle | undefined
}

/** Where each secret is: what the environment names (`NAME`, `NAME_FILE`) comes first, the provider has the rest. */
export function locateSecrets(places: SecretLocations, provider: SecretProvider): LocatedSecrets {
  return {
    find(name) {
      const place = places.get(name)
      return place === undefined ? provider.secret(name) : stored(place)
    },
    beside(name, newName) {
      const place = places.get(name)
      if (place?.kind !== 'file') return provider.secret(newName)
      return fileSecret({ path: join(dirname(place.file.path), newName), previousPath: undefined })
    }
  }
}

export const stored = (place: SecretLocation): SecretHandle =>
  place.kind === 'file'
    ? fileSecret(place.file)
    : environmentSecret(place.variable, place.current, place.previous)
