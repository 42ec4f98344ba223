// Tested by test/receive/key-usage-reporter.test.ts.
import type { RedisClient } from './connect.ts'

/** Unix milliseconds by the clock of Redis (of one node of a Cluster): replicas have clocks of their own. */
export async function serverTime(redis: RedisClient): Promise<number> {
  const [seconds, microseconds] = await redis.time()
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)
}
