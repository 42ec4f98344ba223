const KIB = 1024
const MIB = 1024 * KIB

/** A sanitized event is at most this many times as large as its body … */
const MAX_RATIO = 4
/** … but may always have this size: a body of 40 bytes may well become 200. */
const SMALL_EVENT_BYTES = 64 * KIB
/** No event is larger. */
const MAX_EVENT_BYTES = 8 * MIB
/** For the attributes of the CloudEvent around it. */
const ENVELOPE_BYTES = KIB
/** The body limit; assumed where the size of the body is unknown. */
const MAX_BODY_BYTES = 5 * MIB

/** The content of a container with more entries than this must leave `LIST_RESERVE_BYTES` for the fields beside it. */
const LONG_LIST = 64
const LIST_RESERVE_BYTES = 16 * KIB

/**
 * How many bytes a value may still grow by while it is sanitized. Only hashes, masks, "[REDACTED]" and new keys are
 * longer than what they replace: otherwise, JSON.stringify writes no value longer than it stood in the body.
 */
export class GrowthBudget {
  #left: number
  #reserve = 0
  #isExceeded = false
  /**
   * Bytes for all hashes together, also for those of lists that were redacted in the end. It bounds the time too: a
   * hash takes up to 2 µs, and the budget of a redacted list is free again for the next.
   */
  #leftForHashes: number

  constructor(bodyBytes = MAX_BODY_BYTES) {
    const limit = Math.min(MAX_EVENT_BYTES, Math.max(SMALL_EVENT_BYTES, MAX_RATIO * bodyBytes))
    this.#left = limit - ENVELOPE_BYTES - bodyBytes
    this.#leftForHashes = 2 * this.#left
  }

  static unlimited(): GrowthBudget {
    const budget = new GrowthBudget()
    budget.#left = budget.#leftForHashes = Number.POSITIVE_INFINITY
    return budget
  }

  get left(): number {
    return this.#left
  }

  /** Something did not fit. */
  get isExceeded(): boolean {
    return this.#isExceeded
  }

  /** Takes the bytes that a value grows by; `false` if there are not enough. */
  take(bytes: number): boolean {
    if (bytes <= 0) return true
    if (this.#left - bytes < this.#reserve) {
      this.#isExceeded = true
      return false
    }
    this.#left -= bytes
    return true
  }

  takeForHash(bytes: number): boolean {
    if (bytes <= 0) return true
    if (this.#leftForHashes < bytes) this.#isExceeded = true
    if (this.#leftForHashes < bytes || !this.take(bytes)) return false
    this.#leftForHashes -= bytes
    return true
  }

  /** To be called before the entries of a container. Returns what `leave` and `undo` need. */
  enter(entries: number): number {
    const reserve = this.#reserve
    if (entries > LONG_LIST) this.#reserve = LIST_RESERVE_BYTES
    return reserve
  }

  /** To be called after its entries. */
  leave(reserve: number): void {
    this.#reserve = reserve
  }

  /** The container is redacted: what its entries took is free again. */
  undo(left: number, reserve: number): void {
    this.#left = left
    this.#reserve = reserve
  }
}
