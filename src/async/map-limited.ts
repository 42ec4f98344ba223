/**
 * Maps items as `Promise.all` does, with at most `limit` of them at once: thousands of commands sent together would
 * delay all others of their connection.
 *
 * @throws what `work` rejects with first; items that were not begun are left out then
 */
export async function mapLimited<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>
): Promise<Result[]> {
  const results = new Map<number, Result>()
  const rest = items.entries()
  let hasFailed = false
  const lane = async (): Promise<void> => {
    // All lanes take from the same iterator.
    for (const [index, item] of rest) {
      if (hasFailed) return
      try {
        results.set(index, await work(item))
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result)
}
