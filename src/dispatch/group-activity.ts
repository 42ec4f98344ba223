// Tested by test/dispatch/consumer-status.test.ts.
import { runtimeConsumerNames } from '../group/fenced-read.ts'
import { publishedPartitions } from '../log/partition.ts'
import type { GroupStats } from '../log/stats.ts'
import type { RedisClient } from '../redis/connect.ts'
import { flatToMap } from '../redis/reply.ts'

/** When a consumer group last called Redis, by the idle times of its Redis consumers, over all partitions. */
interface GroupActivity {
  /**
   * Milliseconds since the last call of our own runtime; `undefined` if there was none. In a plain group this is a
   * replay by an operator.
   */
  readonly runtimeIdleMs: number | undefined
  /**
   * How long each consumer of a plain group has been idle. A consumer that blocks in XREADGROUP does not call Redis
   * meanwhile.
   */
  readonly plainIdleMs: readonly number[]
}

/** A consumer of a plain group that has not called Redis for so long is not active. It may be processing a batch. */
const ACTIVE_MS = 5 * 60 * 1000

/** How many consumers of a plain group are active, by how long each has been idle. */
export const activeConsumers = (idleMs: readonly number[]): number =>
  idleMs.filter(ms => ms < ACTIVE_MS).length

/**
 * Whether a consumer of a plain group can be blocked in XREADGROUP, which looks idle as long as no event arrives: only
 * while everything was delivered, or arrived just now.
 */
export const mayBlock = ({ lag, oldestAgeMs }: Pick<GroupStats, 'lag' | 'oldestAgeMs'>): boolean =>
  lag === 0 || oldestAgeMs === undefined || oldestAgeMs < ACTIVE_MS

/**
 * Reads XINFO CONSUMERS. From Redis 7.2 on, `idle` counts from the last call of any kind, and `inactive` from the last
 * one that got an entry; a consumer that polls an empty stream is active. Redis 7.0 has only `idle`, with the meaning of
 * `inactive`.
 *
 * @throws the error of Redis
 */
export async function groupActivity(
  redis: RedisClient,
  keyPrefix: string,
  group: string
): Promise<GroupActivity> {
  const plainIdleMs = new Map<string, number>()
  let runtimeIdleMs: number | undefined
  for (const { events } of await publishedPartitions(redis, keyPrefix)) {
    for (const fields of await infoConsumers(redis, events, group)) {
      const [name, idle] = [String(fields.get('name')), Number(fields.get('idle'))]
      // Those of our runtime are in the group for good, whether a member runs or not.
      if (runtimeConsumerNames.has(name)) runtimeIdleMs = Math.min(idle, runtimeIdleMs ?? idle)
      else plainIdleMs.set(name, Math.min(idle, plainIdleMs.get(name) ?? idle))
    }
  }
  return { runtimeIdleMs, plainIdleMs: [...plainIdleMs.values()] }
}

/** The consumers of a group in one stream; none where the stream or the group does not exist there. */
async function infoConsumers(
  redis: RedisClient,
  stream: string,
  group: string
): Promise<ReadonlyMap<unknown, unknown>[]> {
  try {
    const consumers = (await redis.xinfo('CONSUMERS', stream, group)) as unknown[][]
    return consumers.map(flatToMap)
  } catch (error) {
    if (error instanceof Error && /^(?:NOGROUP|ERR no such key)/.test(error.message)) return []
    throw error
  }
}
