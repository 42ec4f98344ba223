/** Items that must each end within the same time after they were added. */
interface Deadlines<Item> {
  add(item: Item): void
  delete(item: Item): void
  /** Those that have not ended, oldest first. */
  all(): readonly Item[]
}

/**
 * One timer for any number of items. A timer per item would cost as much as a small request.
 *
 * @param onExpired called for each item that was not deleted in time. It may delete items
 */
export function createDeadlines<Item>(limitMs: number, onExpired: (item: Item) => void): Deadlines<Item> {
  /** In the order of their deadlines, because all have the same time. */
  const endsAtMs = new Map<Item, number>()
  let isRunning = false

  return {
    add: item => {
      endsAtMs.set(item, performance.now() + limitMs)
      if (!isRunning) start(limitMs)
    },
    delete: item => void endsAtMs.delete(item),
    all: () => [...endsAtMs.keys()]
  }

  function start(delayMs: number): void {
    isRunning = true
    setTimeout(check, delayMs).unref()
  }

  /** Deleted items leave the timer as it is: it comes at most once per limit. */
  function check(): void {
    isRunning = false
    const nowMs = performance.now()
    for (const [item, atMs] of endsAtMs) {
      if (atMs > nowMs) {
        start(atMs - nowMs)
        return
      }
      endsAtMs.delete(item)
      onExpired(item)
    }
  }
}
