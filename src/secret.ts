import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

const MASK = '[secret]'

/**
 * A credential that can't be shown by accident: as a string, in JSON and in an inspection it is a mask.
 * `reveal()` is the one way to its value, so a search for that word finds every use.
 */
export class Secret {
  readonly #value: string

  /** @param value the credential; empty is refused, since an empty key would sign for everybody */
  constructor(value: string) {
    if (value === '') throw new TypeError('a secret must not be empty')
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  /** In constant time. */
  equals(other: Secret): boolean {
    return timingSafeEqual(hash('sha256', this.#value, 'buffer'), hash('sha256', other.#value, 'buffer'))
  }

  /**
   * A name for it that tells nothing: 32 bits of a MAC under the credential itself, so that logs, Redis and
   * people can say which of two keys is meant.
   */
  get id(): string {
    return createHmac('sha256', this.#value).update('cio-webhook key id').digest('hex').slice(0, 8)
  }

  toString(): string {
    return MASK
  }

  toJSON(): string {
    return MASK
  }

  [inspect.custom](): string {
    return MASK
  }
}
