import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'

const membershipScript = loadScript(new URL('membership.lua', import.meta.url))

/** A member's place in the list of running members. */
export interface Membership {
  /** Joins, or stays, for another `lifetimeMs`. @returns all members, in the same order for every member. @throws the error of Redis */
  heartbeat(): Promise<readonly string[]>
  /** @throws the error of Redis */
  leave(): Promise<void>
}

export function createMembership(
  redis: RedisClient,
  key: string,
  token: string,
  lifetimeMs: number
): Membership {
  return {
    heartbeat: async () => (await runScript(redis, membershipScript, [key], [token, lifetimeMs])) as string[],
    leave: async () => {
      await runScript(redis, membershipScript, [key], [token, 0])
    }
  }
}

/**
 * The partitions of a member: every n-th, with n = number of members, so that no two members differ by more than one.
 * Members with the same list get disjoint partitions. While their lists differ, the leases decide.
 */
export function assignedPartitions(
  token: string,
  members: readonly string[],
  partitions: number
): ReadonlySet<number> {
  const index = members.indexOf(token)
  if (index === -1) return new Set()
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  return new Set(all.filter(partition => partition % members.length === index))
}
