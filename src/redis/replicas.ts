// Tested by test/redis/durability.slow.test.ts.
import { UnavailableError } from '../errors.ts'
import { mastersOf, type RedisClient } from './connect.ts'

/**
 * How many replicas are connected, in sync, and so can confirm a write. Of a Cluster: the master with the fewest.
 *
 * @throws the error of Redis
 */
export async function connectedReplicas(redis: RedisClient): Promise<number> {
  const infos = await Promise.all(mastersOf(redis).map(master => master.info('replication')))
  if (infos.length === 0) throw new UnavailableError('redis_down')
  return Math.min(...infos.map(info => info.match(/^slave\d+:.*state=online/gm)?.length ?? 0))
}
