// Tested by test/settings/secrets/file.test.ts and test/settings/secrets/aws.slow.test.ts
import type { Secret } from '../../secret.ts'

/** The values that a store has for one secret. */
export interface SecretVersions {
  /** The value in use. */
  readonly current: Secret | undefined
  /** The value that was in use before, until it is retired. */
  readonly previous: Secret | undefined
  /** The value that is stored to be used next. */
  readonly pending: Secret | undefined
}

export const NO_VERSIONS: SecretVersions = { current: undefined, previous: undefined, pending: undefined }

/** One secret in a store. */
export interface SecretHandle {
  /** For messages: `the file /run/secrets/cio-api-key`. */
  readonly place: string
  /**
   * How the operator named this place, such as `CIO_API_KEY_FILE=/run/secrets/cio-api-key`. A secret that is named must
   * exist; without a name, the place follows from a convention and may be empty.
   */
  readonly setting?: string
  /** How often it makes sense to read it again, in milliseconds; `undefined`: it cannot change in this process. */
  readonly refreshMs: number | undefined
  /** Reads the store. A secret that does not exist has no versions; rejects if the store cannot be read. */
  versions(): Promise<SecretVersions>
  /**
   * Puts a value into use; the current value becomes the previous one. Does nothing if the value is in use already, so
   * a step can be repeated.
   *
   * @throws ReadOnlySecretError where only the operator can change it
   */
  promote(value: Secret): Promise<void>
  /** Removes the previous value. Does nothing if there is none. */
  forgetPrevious(): Promise<void>
  /**
   * After a change from outside: stores the value that was in use, so that it survives a restart.
   *
   * @returns false where the store cannot be written
   */
  keepPrevious(value: Secret): Promise<boolean>
  /** Another secret in the same folder; `undefined` where the store has no folders. */
  sibling?(name: string): SecretHandle
}

/** Finds a secret by its name, such as `cio-api-key`; `undefined` if this store has no place for it. */
export interface Secrets {
  find(name: string): SecretHandle | undefined
}

/** A kind of place for secrets: see environment.ts, file.ts and aws.ts. */
export interface SecretStore extends Secrets {
  close(): void
}

/** A program cannot write to this store. The message says what to do by hand. */
export class ReadOnlySecretError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ReadOnlySecretError'
  }
}

/** `CIO_API_KEY` → `cio-api-key` */
export const secretNameOf = (variable: string): string => variable.toLowerCase().replaceAll('_', '-')

/** `cio-api-key-v2` → `CIO_API_KEY_V2` */
export const variableOf = (name: string): string => name.toUpperCase().replaceAll('-', '_')

export const sameSecret = (one: Secret | undefined, other: Secret | undefined): boolean =>
  one !== undefined && other !== undefined && one.equals(other)

/**
 * A secret whose previous value has a place of its own, such as a variable beside a file. A previous value that the store
 * of the secret has comes first.
 *
 * @param previous `undefined`: there is no such place
 */
export function withPrevious(secret: SecretHandle, previous: SecretHandle | undefined): SecretHandle {
  if (previous === undefined) return secret
  const elsewhere = async (): Promise<Secret | undefined> => (await previous.versions()).current
  return {
    ...secret,
    async versions() {
      const versions = await secret.versions()
      return { ...versions, previous: versions.previous ?? (await elsewhere()) }
    },
    async forgetPrevious() {
      await secret.forgetPrevious()
      if ((await elsewhere()) === undefined) return
      throw new ReadOnlySecretError(
        `no command can change ${previous.place}: unset it by hand and restart one replica after the other`
      )
    }
  }
}
