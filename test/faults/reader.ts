import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisClient } from '../../src/redis/connect.ts'
import { until } from '../helpers/server.ts'
import { loggedEntry, type ReadEntry } from './oracle.ts'

/** A consumer group with one member: records each entry, then acknowledges it. */
interface Reader {
  /** By stream and entry id. */
  readonly entries: ReadonlyMap<string, ReadEntry>
  /** Resolves when every entry is read and acknowledged. */
  caughtUp(): Promise<void>
  stop(): Promise<void>
}

const BLOCK_MS = 200
const PATIENCE_MS = 60_000

/**
 * Resolves when the group exists: later entries are not trimmed before they are recorded.
 *
 * @param connect opens a client; called again after an error
 */
export async function startReader(
  streams: readonly string[],
  connect: () => RedisClient,
  { group = 'oracle', pageEntries = 200 }: { readonly group?: string; readonly pageEntries?: number } = {}
): Promise<Reader> {
  const recorded = new Map<string, ReadEntry>()
  const idle = new Set<string>()
  let stopped = false
  const first = connect()
  for (const stream of streams)
    await until('the reader has its group', () => createGroup(first, stream, group))
  first.disconnect()
  const loops = streams.map(stream => readStream(stream))

  return {
    entries: recorded,
    caughtUp: async () => {
      idle.clear()
      await until('the reader has read everything', async () => idle.size === streams.length, PATIENCE_MS)
    },
    stop: async () => {
      stopped = true
      await Promise.all(loops)
    }
  }

  async function readStream(stream: string): Promise<void> {
    let client = connect()
    let from = '0'
    while (!stopped) {
      try {
        from = await readOnce(client, stream, from)
      } catch (error) {
        // Reads pending entries again, and creates the group again if it is missing.
        from = '0'
        const message = error instanceof Error ? error.message : ''
        if (message.startsWith('NOGROUP')) {
          await createGroup(client, stream, group)
        } else {
          client.disconnect()
          await sleep(50)
          client = connect()
        }
      }
    }
    client.disconnect()
  }

  /** @returns where to continue: `0` for pending entries, `>` for new ones */
  async function readOnce(client: RedisClient, stream: string, from: string): Promise<string> {
    const answer = (await client.xreadgroup(
      'GROUP',
      group,
      'reader',
      'COUNT',
      pageEntries,
      'BLOCK',
      BLOCK_MS,
      'STREAMS',
      stream,
      from
    )) as unknown
    const entries = entriesOf(answer)
    if (entries.length === 0) {
      if (from === '>') idle.add(stream)
      return '>'
    }
    idle.delete(stream)
    for (const [id, fields] of entries) {
      // Pending entries that were deleted have no fields.
      if (fields === null || fields.length === 0) continue
      recorded.set(`${stream} ${id}`, { ...loggedEntry(stream, id, fields), readAtMs: performance.now() })
    }
    await client.xack(stream, group, ...entries.map(([id]) => id))
    return from
  }
}

/** @returns whether the group exists */
async function createGroup(client: RedisClient, stream: string, group: string): Promise<boolean> {
  await client.xgroup('CREATE', stream, group, '0', 'MKSTREAM').catch(() => {})
  // A full Redis refuses to create a group even if it exists; then only this shows it.
  return client.xpending(stream, group).then(
    () => true,
    () => false
  )
}

type Entries = readonly (readonly [string, readonly string[] | null])[]

/** The reply has pairs in RESP2 and a map in RESP3. */
function entriesOf(answer: unknown): Entries {
  if (answer === null || answer === undefined) return []
  if (Array.isArray(answer)) {
    const [first] = answer as unknown[]
    return (Array.isArray(first) ? (first as unknown[])[1] : answer[1]) as Entries
  }
  const [entries = []] = Object.values(answer as Record<string, Entries>)
  return entries
}
