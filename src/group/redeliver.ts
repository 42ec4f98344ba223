import { groupKeys, partitionKeys } from '../log/keys.ts'
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { CONSUMER_NAME } from './fenced-read.ts'

const redeliverScript = loadScript(new URL('redeliver.lua', import.meta.url))

/** Ids per call: Redis is blocked meanwhile (about 2 ms). */
const BATCH_IDS = 500

/**
 * Makes acknowledged entries of a partition pending again for one consumer group. A running member gets them within
 * about a second.
 *
 * @returns the ids that are pending again: without entries that are no longer in the log, or not acknowledged yet
 * @throws the error of Redis; NOGROUP if the group does not exist
 */
export async function redeliver(
  redis: RedisClient,
  keyPrefix: string,
  group: string,
  partition: number,
  ids: readonly string[]
): Promise<readonly string[]> {
  const keys = [partitionKeys(keyPrefix, partition).events, groupKeys(keyPrefix, group).redeliver(partition)]
  const redelivered: string[] = []
  for (let first = 0; first < ids.length; first += BATCH_IDS) {
    const args = [group, CONSUMER_NAME, ...ids.slice(first, first + BATCH_IDS)]
    redelivered.push(...((await runScript(redis, redeliverScript, keys, args)) as string[]))
  }
  return redelivered
}
