// Tested by test/cli/status/command.slow.test.ts.
import { publishedPartitions } from '../../log/partition.ts'
import { errorCause } from '../../redis/causes.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { memoryUsage } from '../../redis/memory.ts'
import { inspectServers } from '../../redis/server-facts.ts'
import { serverTime } from '../../redis/server-time.ts'
import { checkWrites } from '../../redis/write-check.ts'
import type { RedisStatus } from './facts.ts'

/**
 * Reads the server's part of the status.
 *
 * @param address for messages, without credentials
 * @param now unix milliseconds
 * @throws the error of Redis
 */
export async function readRedisStatus(
  redis: RedisClient,
  address: string,
  keyPrefix: string,
  now: () => number
): Promise<RedisStatus> {
  const server = await inspectServers(redis)
  const startedMs = performance.now()
  await redis.ping()
  const latencyMs = performance.now() - startedMs
  const clockAheadMs = (await serverTime(redis)) - now()
  const [memory, bytesPerEvent, refusal] = await Promise.all([
    memoryUsage(redis),
    eventBytes(redis, keyPrefix),
    writeRefusal(redis, keyPrefix)
  ])
  return { state: 'up', address, server, memory, refusal, clockAheadMs, latencyMs, bytesPerEvent }
}

/** @returns `undefined` if Redis accepts writes, or if the user of this command may only read */
async function writeRefusal(redis: RedisClient, keyPrefix: string): Promise<string | undefined> {
  try {
    await checkWrites(redis, keyPrefix)
    return undefined
  } catch (error) {
    const cause = errorCause(error)
    if (cause === undefined) throw error
    return cause.startsWith('NOPERM') ? undefined : cause
  }
}

/** @returns `undefined` without events, and where MEMORY is not permitted */
async function eventBytes(redis: RedisClient, keyPrefix: string): Promise<number | undefined> {
  try {
    const [first] = await publishedPartitions(redis, keyPrefix)
    if (first === undefined) return undefined
    const [bytes, events] = await Promise.all([
      redis.memory('USAGE', first.events, 'SAMPLES', 5),
      redis.xlen(first.events)
    ])
    return bytes === null || events === 0 ? undefined : bytes / events
  } catch {
    return undefined
  }
}
