/** Limits how many tasks run at once. */
export interface Semaphore {
  /** Waits for a free permit, in order of arrival. @returns false if the signal was aborted before that */
  take(signal: AbortSignal): Promise<boolean>
  /** Returns a permit. */
  give(): void
}

export function createSemaphore(count: number): Semaphore {
  const waiting = new Set<() => void>()
  let free = count
  return {
    take: async signal => {
      if (signal.aborted) return false
      if (free > 0) {
        free--
        return true
      }
      return new Promise(resolve => {
        const settle = (taken: boolean): void => {
          waiting.delete(next)
          signal.removeEventListener('abort', abort)
          resolve(taken)
        }
        const next = (): void => settle(true)
        const abort = (): void => settle(false)
        waiting.add(next)
        signal.addEventListener('abort', abort, { once: true })
      })
    },
    give: () => {
      const [next] = waiting
      if (next === undefined) free++
      else next()
    }
  }
}
