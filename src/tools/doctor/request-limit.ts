const FIRST_LIMIT = 4
const HIGHEST_LIMIT = 16
/** An answer that takes this many times as long as that to a single request was delayed by other requests. */
const CROWDED_FACTOR = 3
/** An answer up to this factor was not delayed. */
const FREE_FACTOR = 1.5
/** Below this, the duration shows nothing. */
const NEGLIGIBLE_MS = 500

/**
 * Limits the requests in flight. An endpoint that answers slowly but in parallel gets more of them; one that handles
 * requests one by one gets them one by one. Otherwise the doctor would measure the queue that it caused itself.
 */
export class RequestLimit {
  readonly #freeMs: number
  readonly #crowdedMs: number
  readonly #waiting: (() => void)[] = []
  #limit = FIRST_LIMIT
  #inFlight = 0

  /** @param singleMs duration of an answer while no other request is in flight */
  constructor(singleMs: number) {
    this.#freeMs = Math.max(NEGLIGIBLE_MS, FREE_FACTOR * singleMs)
    this.#crowdedMs = Math.max(NEGLIGIBLE_MS, CROWDED_FACTOR * singleMs)
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
