// Tested by test/sanitize/repeated-values.test.ts
import { isPlainEmail } from './digest.ts'

/** Up to this many values, a search takes less time than to build a map. Nearly every event has no more. */
const FEW = 8

/** The values of the hashed fields of one event. */
export class HashedValues {
  /** Plain e-mail addresses. */
  readonly emails: string[] = []
  readonly others: string[] = []
  readonly #firstValues: string[] = []
  readonly #firstHashes: string[] = []
  #furtherHashes: Map<string, string> | undefined
  /** The shown form of ids that may hold an address. Cached: it is expensive, and an event is walked up to three times. */
  readonly maskedIds = new Map<string, string>()

  /** The hash of a value; '' if the value is known without it. */
  hashOf(value: string): string | undefined {
    const at = this.#firstValues.indexOf(value)
    return at === -1 ? this.#furtherHashes?.get(value) : this.#firstHashes[at]
  }

  /** `hash`: '' if it is not needed. */
  add(value: string, hash: string, isEmail = isPlainEmail(value)): void {
    const isKnown = this.hashOf(value) !== undefined
    if (isKnown && hash === '') return
    if (!isKnown) (isEmail ? this.emails : this.others).push(value)
    const at = isKnown ? this.#firstValues.indexOf(value) : this.#firstValues.length
    if (at !== -1 && at < FEW) {
      this.#firstValues[at] = value
      this.#firstHashes[at] = hash
    } else {
      this.#furtherHashes ??= new Map()
      this.#furtherHashes.set(value, hash)
    }
  }
}
