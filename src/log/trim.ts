// Tested by test/log/retention.test.ts and test/log/memory-relief.slow.test.ts.
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'

/** The result of a call that trims because memory is short. */
export interface TrimmedForMemory {
  readonly removed: number
  /** Id of the oldest entry left; `''` where none is. */
  readonly oldest: string
  /** Run id of the server that holds the stream. */
  readonly server: string
  readonly usedBytesBefore: number
  readonly usedBytes: number
  /** maxmemory; 0: no limit. */
  readonly maxBytes: number
}

/** Entries per call: about 1 ms for events of ordinary size. Redis is blocked meanwhile. */
export const MAX_TRIM_ENTRIES = 1000

const trimScript = loadScript(new URL('trim.lua', import.meta.url))
const gapsScript = loadScript(new URL('trim-gaps.lua', import.meta.url))

/**
 * Removes acknowledged entries beyond an age or a length, about `MAX_TRIM_ENTRIES` of each.
 *
 * @returns how many were removed
 * @throws the error of Redis
 */
export async function trim(
  redis: RedisClient,
  stream: string,
  { retentionMs, maxLength }: { readonly retentionMs?: number; readonly maxLength: number }
): Promise<{ readonly byAge: number; readonly byLength: number }> {
  const args = [MAX_TRIM_ENTRIES, retentionMs ?? '', maxLength, '']
  const [byAge, byLength] = (await runScript(redis, trimScript, [stream], args)) as [number, number]
  return { byAge, byLength }
}

/**
 * Removes acknowledged entries, oldest first, if the stream's server uses more than this share of its maxmemory.
 *
 * @param entries about how many, at most; with 0 it only reads the memory usage
 * @throws the error of Redis
 */
export async function trimForMemory(
  redis: RedisClient,
  stream: string,
  entries: number,
  share: number
): Promise<TrimmedForMemory> {
  const reply = await runScript(redis, trimScript, [stream], [entries, '', '', share])
  const [, , removed, ...rest] = reply as [number, number, number, string, string, number, number, number]
  const [oldest, server, usedBytesBefore, usedBytes, maxBytes] = rest
  return { removed, oldest, server, usedBytesBefore, usedBytes, maxBytes }
}

/**
 * Removes acknowledged entries that come after unacknowledged ones.
 *
 * @param entries how many to look at
 * @param after the id after which to start
 * @returns how many were removed, and the id to continue after; `''` at the end
 * @throws the error of Redis
 */
export async function trimGaps(
  redis: RedisClient,
  stream: string,
  entries: number,
  after: string
): Promise<{ readonly removed: number; readonly next: string }> {
  const reply = (await runScript(redis, gapsScript, [stream], [entries, after])) as [number, string]
  return { removed: reply[0], next: reply[1] }
}
