import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'

/**
 * The right to work one partition for one group, held by one member at a time.
 *
 * A lease alone fences nothing off: a member that was stopped for a minute does not know that its lease has
 * passed on. So whoever reads from the group proves in the same call that the lease is still its own (take.lua),
 * and what a former holder can still do is to finish events that its successor handles again.
 */
export interface Lease {
  readonly key: string
  readonly token: string
  /** Takes it, or keeps it for another `leaseMs`. @returns whether it is ours now. @throws what Redis answers */
  acquireOrRenew(): Promise<boolean>
  /** May it still be ours, by this process' own clock? */
  mayStillHold(): boolean
  /** Gives it back, so that the next member need not wait for its end. */
  release(): Promise<void>
}

const leaseScript = loadScript(new URL('lease.lua', import.meta.url))

export function createLease(redis: RedisClient, key: string, token: string, leaseMs: number): Lease {
  let endsAtMs = 0
  return {
    key,
    token,
    acquireOrRenew: async () => {
      // Counted from before the call: in Redis it ends later than we think, never earlier.
      const askedAtMs = performance.now()
      const held = (await runScript(redis, leaseScript, [key], [token, leaseMs])) === 1
      endsAtMs = held ? askedAtMs + leaseMs : 0
      return held
    },
    mayStillHold: () => performance.now() < endsAtMs,
    release: async () => {
      endsAtMs = 0
      await runScript(redis, leaseScript, [key], [token, 0])
    }
  }
}
