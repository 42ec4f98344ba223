import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'

const membersScript = loadScript(new URL('membership.lua', import.meta.url))

/** A member's word that it works for its group. */
export interface Membership {
  /** Says so for another `lastsMs`. @returns all members, in the same order for everybody */
  heartbeat(): Promise<readonly string[]>
  leave(): Promise<void>
}

export function createMembership(
  redis: RedisClient,
  key: string,
  token: string,
  lastsMs: number
): Membership {
  return {
    heartbeat: async () => (await runScript(redis, membersScript, [key], [token, lastsMs])) as string[],
    leave: async () => {
      await runScript(redis, membersScript, [key], [token, 0])
    }
  }
}

/**
 * The partitions a member works: every so-manieth, so that no two members differ by more than one. All members
 * come to the same result from the same list; while their lists differ, the leases decide.
 */
export function assignedPartitions(
  token: string,
  members: readonly string[],
  partitions: number
): ReadonlySet<number> {
  const place = members.indexOf(token)
  if (place === -1) return new Set()
  const all = Array.from({ length: partitions }, (_, partition) => partition)
  return new Set(all.filter(partition => partition % members.length === place))
}
