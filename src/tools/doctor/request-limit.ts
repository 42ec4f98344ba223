const FIRST_LIMIT = 4
const HIGHEST_LIMIT = 16
/** An answer that takes this many times as long as that to a single request has waited for other requests. */
const CROWDED_FACTOR = 3
/** One that takes no longer than this has not. */
const FREE_FACTOR = 1.5
/** Below this, a longer answer says nothing. */
const UNNOTABLE_MS = 500

/**
 * How many requests are in flight at once. An endpoint that answers slowly but many at a time gets more of them, one
 * that answers one after the other gets them one after the other: otherwise the doctor would measure the queue that it
 * made itself.
 */
export class RequestLimit {
  readonly #freeMs: number
  readonly #crowdedMs: number
  readonly #waiting: (() => void)[] = []
  #limit = FIRST_LIMIT
  #inFlight = 0

  /** @param singleMs how long an answer takes when nothing else is asked */
  constructor(singleMs: number) {
    this.#freeMs = Math.max(UNNOTABLE_MS, FREE_FACTOR * singleMs)
    this.#crowdedMs = Math.max(UNNOTABLE_MS, CROWDED_FACTOR * singleMs)
  }

  async run<T extends { readonly durationMs: number }>(request: () => Promise<T>): Promise<T> {
    while (this.#inFlight >= this.#limit) await new Promise<void>(resolve => this.#waiting.push(resolve))
    this.#inFlight++
    try {
      const reply = await request()
      if (reply.durationMs > this.#crowdedMs) this.#limit = Math.max(1, Math.floor(this.#limit / 2))
      else if (reply.durationMs <= this.#freeMs) this.#limit = Math.min(HIGHEST_LIMIT, this.#limit + 1)
      return reply
    } finally {
      this.#inFlight--
      for (const wake of this.#waiting.splice(0, Math.max(0, this.#limit - this.#inFlight))) wake()
    }
  }
}
