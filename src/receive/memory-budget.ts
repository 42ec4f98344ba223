/** How much memory the bodies in flight may hold together. */
export interface MemoryBudget {
  /**
   * Sets memory aside.
   *
   * @param onEvicted given for memory that may be taken away again: then it is called, and the body has to be dropped
   * @returns `undefined` when there is not enough
   */
  reserve(bytes: number, onEvicted?: () => void): Reservation | undefined
  /** Bytes that are set aside now. */
  readonly usedBytes: number
}

export interface Reservation {
  /** @returns false when there is not enough; the reservation stays as it was, unless it was evicted itself */
  grow(byBytes: number): boolean
  /** From now on it is not evicted any more. */
  keep(): void
  /** Gives the memory back. Calling it again does nothing. */
  release(): void
}

interface Holder {
  bytes: number
  readonly sinceMs: number
  readonly onEvicted: () => void
}

export interface MemoryLimits {
  readonly totalBytes: number
  /** Of these, what may be taken away again can have so much. */
  readonly evictableBytes: number
}

/**
 * When the budget is used up, the body that has held most memory for longest is dropped, of those that may be: bytes
 * times seconds. A small or quick body is never that one, so unfinished large ones cannot keep it out.
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
