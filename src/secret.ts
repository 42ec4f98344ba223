import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { inspect } from 'node:util'

const MASK = '[secret]'

/**
 * A credential that cannot be shown by accident: as a string, in JSON and when inspected it is a mask. Only `reveal()`
 * returns its value, so a search for that word finds every use.
 */
export class Secret {
  readonly #value: string

  /** @param value the credential; an empty one is refused, since anyone could sign with an empty key */
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
   * A name that reveals nothing: 32 bits of a MAC under the credential itself. Logs, Redis and people use it to tell
   * two keys apart.
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
