import { groupKeys, partitionKeys } from '../log/keys.ts'
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'

const putBackScript = loadScript(new URL('redeliver.lua', import.meta.url))

/** Under this name entries wait that somebody put back; whoever works the partition takes them over. */
export const MEMBER = 'put-back'
/** Ids in one call: Redis does nothing else meanwhile (about 2 ms). */
const BATCH_IDS = 500

/**
 * Lets one consumer group have entries of a partition again that it has acknowledged; within about a second where
 * somebody works for it. What it still has to get is left alone.
 *
 * @param ids entries of the partition
 * @returns those that were put back: not those that are gone from the log, nor those it has still to get
 * @throws what Redis answers; NOGROUP where there is no such group
 */
export async function redeliver(
  redis: RedisClient,
  keyPrefix: string,
  group: string,
  partition: number,
  ids: readonly string[]
): Promise<readonly string[]> {
  const keys = [partitionKeys(keyPrefix, partition).events, groupKeys(keyPrefix, group).putBack(partition)]
  const back: string[] = []
  for (let first = 0; first < ids.length; first += BATCH_IDS) {
    const args = [group, MEMBER, ...ids.slice(first, first + BATCH_IDS)]
    back.push(...((await runScript(redis, putBackScript, keys, args)) as string[]))
  }
  return back
}
