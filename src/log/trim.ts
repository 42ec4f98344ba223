import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'

/** How many entries one call of trim.lua removed. */
export interface Trimmed {
  readonly byAge: number
  readonly byLength: number
}

/** The same for a call that trims while memory is short. */
export interface TrimmedForMemory {
  readonly removed: number
  /** Id of the oldest entry that is left; `''` where none is. */
  readonly oldest: string
  /** Names the server that holds the stream. */
  readonly server: string
  readonly usedBytesBefore: number
  readonly usedBytes: number
  /** 0 where the server has no limit. */
  readonly maxBytes: number
}

export interface TrimLimits {
  /** Entries one call may remove, about: Redis does nothing else meanwhile. */
  readonly entries: number
  readonly retentionMs?: number
  readonly maxLength?: number
}

/** Entries that may go in one call: about 1 ms for events of ordinary size. */
export const MAX_TRIM_ENTRIES = 1000

const trimScript = loadScript(new URL('trim.lua', import.meta.url))
const gapsScript = loadScript(new URL('trim-gaps.lua', import.meta.url))

/** Removes acknowledged entries beyond an age or a length. @throws what Redis answers */
export async function trim(
  redis: RedisClient,
  stream: string,
  { entries, retentionMs, maxLength }: TrimLimits
): Promise<Trimmed> {
  const args = [entries, retentionMs ?? '', maxLength ?? '', '']
  const [byAge, byLength] = (await runScript(redis, trimScript, [stream], args)) as [number, number]
  return { byAge, byLength }
}

/**
 * Removes acknowledged entries, oldest first, if the stream's server uses more than this share of its maxmemory.
 *
 * @param entries how many at most, about; 0 only looks
 * @throws what Redis answers
 */
export async function trimForMemory(
  redis: RedisClient,
  stream: string,
  entries: number,
  share: number
): Promise<TrimmedForMemory> {
  const reply = (await runScript(redis, trimScript, [stream], [entries, '', '', share])) as [
    number,
    number,
    number,
    string,
    string,
    number,
    number,
    number
  ]
  const [, , removed, oldest, server, usedBytesBefore, usedBytes, maxBytes] = reply
  return { removed, oldest, server, usedBytesBefore, usedBytes, maxBytes }
}

/**
 * Removes acknowledged entries behind entries that are not.
 *
 * @param entries how many to look at
 * @param after the id after which to look
 * @returns how many were removed, and where to go on; `''` at the end
 * @throws what Redis answers
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
