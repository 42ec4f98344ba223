import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisClient } from '../../src/redis/connect.ts'
import { until } from '../helpers/server.ts'
import { judged, type TakenEntry } from './oracle.ts'

/** A consumer group of one: reads every stream, notes what it gets, and only then acknowledges it. */
export interface Reader {
  /** By stream and entry id. */
  readonly taken: ReadonlyMap<string, TakenEntry>
  /** Resolves once nothing is left to read or to acknowledge. */
  caughtUp(): Promise<void>
  stop(): Promise<void>
}

const BLOCK_MS = 200
const PATIENCE_MS = 60_000

/**
 * Its group is there before this resolves: what is appended from then on is not trimmed before it was noted.
 *
 * @param connect opens a client; what fails is tried again, with what connection there is by then
 */
export async function startReader(
  streams: readonly string[],
  connect: () => RedisClient,
  { group = 'oracle', pageEntries = 200 }: { readonly group?: string; readonly pageEntries?: number } = {}
): Promise<Reader> {
  const taken = new Map<string, TakenEntry>()
  const idle = new Set<string>()
  let stopped = false
  const first = connect()
  for (const stream of streams) await until('the group of the oracle', () => makeGroup(first, stream, group))
  first.disconnect()
  const loops = streams.map(stream => readStream(stream))

  return {
    taken,
    caughtUp: async () => {
      idle.clear()
      await until('the consumer having read all', async () => idle.size === streams.length, PATIENCE_MS)
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
        // What was delivered and not acknowledged is asked for again; a group that is gone is made again.
        from = '0'
        const message = error instanceof Error ? error.message : ''
        if (message.startsWith('NOGROUP')) {
          await makeGroup(client, stream, group)
        } else {
          client.disconnect()
          await sleep(50)
          client = connect()
        }
      }
    }
    client.disconnect()
  }

  /** @returns where to go on: `0`, what is not acknowledged yet; `>`, what is new */
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
      // What is pending and gone from the stream has no fields.
      if (fields === null || fields.length === 0) continue
      taken.set(`${stream} ${id}`, { ...judged(stream, id, fields), takenAtMs: performance.now() })
    }
    await client.xack(stream, group, ...entries.map(([id]) => id))
    return from
  }
}

/** @returns whether it is there */
const makeGroup = (client: RedisClient, stream: string, group: string): Promise<boolean> =>
  client.xgroup('CREATE', stream, group, '0', 'MKSTREAM').then(
    () => true,
    (error: unknown) => error instanceof Error && error.message.startsWith('BUSYGROUP')
  )

type Entries = readonly (readonly [string, readonly string[] | null])[]

/** Redis answers with pairs in RESP2 and with a map in RESP3. */
function entriesOf(answer: unknown): Entries {
  if (answer === null || answer === undefined) return []
  if (Array.isArray(answer)) {
    const [first] = answer as unknown[]
    return (Array.isArray(first) ? (first as unknown[])[1] : answer[1]) as Entries
  }
  const [entries = []] = Object.values(answer as Record<string, Entries>)
  return entries
}
