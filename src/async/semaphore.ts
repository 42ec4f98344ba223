/** A limited number of permits. */
export interface Semaphore {
  /** Waits for a permit, first come, first served. @returns false if the signal is aborted before */
  acquire(signal: AbortSignal): Promise<boolean>
  release(): void
}

export function createSemaphore(permits: number): Semaphore {
  const waiting = new Set<() => void>()
  let free = permits
  return {
    acquire: async signal => {
      if (signal.aborted) return false
      if (free > 0) {
        free--
        return true
      }
      return new Promise(resolve => {
        const settle = (acquired: boolean): void => {
          waiting.delete(next)
          signal.removeEventListener('abort', abort)
          resolve(acquired)
        }
        const next = (): void => settle(true)
        const abort = (): void => settle(false)
        waiting.add(next)
        signal.addEventListener('abort', abort, { once: true })
      })
    },
    release: () => {
      const [next] = waiting
      if (next === undefined) free++
      else next()
    }
  }
}
