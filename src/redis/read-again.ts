import { setTimeout as sleep } from 'node:timers/promises'
import { isConnectionLoss } from './causes.ts'
import type { RedisClient } from './connect.ts'
import { waitUntilReady } from './ready.ts'

const ATTEMPTS = 5
/** A failover by Sentinel takes a few seconds. */
const READY_MS = 10_000
/** ioredis can reject a command before it reports that the connection is lost. */
const DELAY_MS = 100

/**
 * Reads, and reads again after a lost connection, for a command that takes long enough to meet a failover. The client
 * itself sends nothing twice.
 *
 * @param read only reads
 * @throws the error of Redis: an error reply at once, a lost connection after five attempts
 */
export async function readAgain<Result>(redis: RedisClient, read: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read()
    } catch (error) {
      if (attempt === ATTEMPTS || !(error instanceof Error && isConnectionLoss(error))) throw error
      await sleep(DELAY_MS)
      await waitUntilReady(redis, READY_MS)
    }
  }
}
