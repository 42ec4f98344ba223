import { mastersOf, type RedisClient } from '../redis/connect.ts'
import { groupKeys } from './keys.ts'
import { logStats } from './log-stats.ts'
import { readPartitionCount } from './partition-count.ts'

/** Finds the consumers that can have dead letters. */
export interface DeadLetterSearch {
  /** Every group of the log, and those that are gone but have left dead letters. @throws what Redis answers */
  consumers(): Promise<ReadonlySet<string>>
}

/** What a removed group left behind grows no more, so it need not be found soon. It takes about 1 s for a million keys. */
const SEARCH_INTERVAL_MS = 60 * 60 * 1000
const PAGE_KEYS = 1000

export function createDeadLetterSearch(redis: RedisClient, keyPrefix: string): DeadLetterSearch {
  const prefix = groupKeys(keyPrefix, '').dead
  let left: readonly string[] = []
  let searchedAtMs = Number.NEGATIVE_INFINITY

  return {
    consumers: async () => {
      const partitions = await logStats(redis, keyPrefix, await readPartitionCount(redis, keyPrefix))
      if (performance.now() - searchedAtMs > SEARCH_INTERVAL_MS) {
        left = await search()
        searchedAtMs = performance.now()
      }
      return new Set([...partitions.flatMap(({ groups }) => groups.map(({ name }) => name)), ...left])
    }
  }

  async function search(): Promise<readonly string[]> {
    const keys: string[] = []
    for (const node of mastersOf(redis)) {
      // A prefix has no character that means anything in a pattern.
      for await (const page of node.scanStream({ match: `${prefix}*`, count: PAGE_KEYS, type: 'stream' })) {
        keys.push(...(page as string[]))
      }
    }
    return keys.map(key => key.slice(prefix.length))
  }
}
