/** The memory that all bodies in flight may hold together. */
export interface MemoryBudget {
  /**
   * Reserves memory.
   *
   * @param onEvicted makes the reservation evictable. It is called when that happens: the body must be dropped
   * @returns `undefined` if there is not enough
   */
  reserve(bytes: number, onEvicted?: () => void): Reservation | undefined
  /** Bytes reserved now. */
  readonly usedBytes: number
}

export interface Reservation {
  /** @returns false if there is not enough; the reservation is unchanged, unless it was evicted itself */
  grow(byBytes: number): boolean
  /** Makes it non-evictable. */
  keep(): void
  /** Releases the memory. Calling it again does nothing. */
  release(): void
}

interface Holder {
  bytes: number
  readonly sinceMs: number
  readonly onEvicted: () => void
}

interface MemoryLimits {
  readonly totalBytes: number
  /** The part of it that evictable reservations may use. */
  readonly evictableBytes: number
}

/**
 * When the budget is used up, the evictable body with the largest product of bytes and time is dropped. Small and quick
 * bodies never have it, so unfinished large ones cannot keep them out.
 *
 * @param now monotonic milliseconds
 */
export function createMemoryBudget(
  limits: MemoryLimits,
  now: () => number = () => performance.now()
): MemoryBudget {
  const evictable = new Set<Holder>()
  let usedBytes = 0
  let evictableBytes = 0

  return {
    reserve: (bytes, onEvicted) => {
      if (!makeRoom(bytes, onEvicted !== undefined)) return undefined
      usedBytes += bytes
      const holder = { bytes, sinceMs: now(), onEvicted: onEvicted ?? nothing }
      if (onEvicted !== undefined) {
        evictable.add(holder)
        evictableBytes += bytes
      }
      return {
        grow: byBytes => grow(holder, byBytes),
        keep: () => keep(holder),
        release: () => release(holder)
      }
    },
    get usedBytes() {
      return usedBytes
    }
  }

  function grow(holder: Holder, byBytes: number): boolean {
    if (!makeRoom(byBytes, evictable.has(holder)) || holder.bytes === 0) return false
    usedBytes += byBytes
    holder.bytes += byBytes
    if (evictable.has(holder)) evictableBytes += byBytes
    return true
  }

  function makeRoom(bytes: number, isEvictable: boolean): boolean {
    const evictableLimit = isEvictable ? limits.evictableBytes - bytes : Number.POSITIVE_INFINITY
    if (usedBytes - evictableBytes + bytes > limits.totalBytes || evictableLimit < 0) return false
    while (usedBytes + bytes > limits.totalBytes || evictableBytes > evictableLimit) {
      const worst = heaviest()
      if (worst === undefined) return false
      release(worst)
      worst.onEvicted()
    }
    return true
  }

  function heaviest(): Holder | undefined {
    const nowMs = now()
    let worst: Holder | undefined
    let most = -1
    for (const holder of evictable) {
      const weight = holder.bytes * (nowMs - holder.sinceMs)
      if (weight > most) [worst, most] = [holder, weight]
    }
    return worst
  }

  function keep(holder: Holder): void {
    if (evictable.delete(holder)) evictableBytes -= holder.bytes
  }

  function release(holder: Holder): void {
    keep(holder)
    usedBytes -= holder.bytes
    holder.bytes = 0
  }
}

const nothing = (): void => {}
