import type { Secret } from '../../secret.ts'

/** What a place keeps of one secret. */
export interface SecretVersions {
  /** What is in use. */
  readonly current: Secret | undefined
  /** What was in use before, for as long as it still counts. */
  readonly previous: Secret | undefined
  /** What is put there to be used next. */
  readonly pending: Secret | undefined
}

export const NO_VERSIONS: SecretVersions = { current: undefined, previous: undefined, pending: undefined }

/** One secret, wherever it lies: see environment.ts, file.ts and aws.ts. */
export interface SecretHandle {
  /** In words, for messages: `the file /run/secrets/cio-api-key`. */
  readonly place: string
  /** How often it is worth asking again, in milliseconds; `undefined`: it can't change while the process lives. */
  readonly refreshMs: number | undefined
  /** Reads anew. A secret that is not there has no versions; rejects when that can't be told. */
  versions(): Promise<SecretVersions>
  /**
   * Puts a value into use. What was in use becomes the previous one. Setting what is in use already changes
   * nothing, so that a step can be run again.
   *
   * @throws ReadOnlySecretError where only the operator can
   */
  setActive(value: Secret): Promise<void>
  /** Lets go of the previous value. Harmless when there is none. */
  forgetPrevious(): Promise<void>
  /**
   * Where a change comes from outside: keeps the value that was in use, so that a restart still knows it.
   *
   * @returns false where that can't be done
   */
  keepPrevious(value: Secret): Promise<boolean>
}

/** Finds a secret by its name, such as `cio-api-key`; `undefined` where nothing says where it would be. */
export interface Secrets {
  find(name: string): SecretHandle | undefined
}

/** The place can't be written by a program. The message says what to do by hand. */
export class ReadOnlySecretError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ReadOnlySecretError'
  }
}

/** `CIO_API_KEY` → `cio-api-key`: what a variable's secret is called where names are not variables. */
export const secretNameOf = (variable: string): string => variable.toLowerCase().replaceAll('_', '-')

/** `cio-api-key-v2` → `CIO_API_KEY_V2` */
export const variableOf = (name: string): string => name.toUpperCase().replaceAll('-', '_')

export const sameSecret = (one: Secret | undefined, other: Secret | undefined): boolean =>
  one !== undefined && other !== undefined && one.equals(other)
