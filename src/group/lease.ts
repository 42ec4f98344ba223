// Tested by test/group/batch-consumer.test.ts.
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'

/**
 * The right of one member to read one partition for a group.
 *
 * A lease alone does not exclude others: a process that was suspended for a minute does not know that another member
 * holds its lease now. So every read checks the lease in the same call (fenced-read.lua). A former holder can only
 * finish events that the new holder handles again.
 */
export interface Lease {
  readonly key: string
  readonly token: string
  /** @returns whether the lease is ours for another `leaseMs`. @throws the error of Redis */
  acquireOrRenew(): Promise<boolean>
  /** Whether it can still be ours, by this process' own clock. */
  mayStillHold(): boolean
  /** Releases it, so that the next member does not wait until it expires. @throws the error of Redis */
  release(): Promise<void>
}

const leaseScript = loadScript(new URL('lease.lua', import.meta.url))

export function createLease(redis: RedisClient, key: string, token: string, leaseMs: number): Lease {
  let endsAtMs = 0
  return {
    key,
    token,
    acquireOrRenew: async () => {
      // Counted from before the call: in Redis it never expires earlier than that.
      const calledAtMs = performance.now()
      const held = (await runScript(redis, leaseScript, [key], [token, leaseMs])) === 1
      endsAtMs = held ? calledAtMs + leaseMs : 0
      return held
    },
    mayStillHold: () => performance.now() < endsAtMs,
    release: async () => {
      endsAtMs = 0
      await runScript(redis, leaseScript, [key], [token, 0])
    }
  }
}
