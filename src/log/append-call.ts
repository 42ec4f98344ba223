// Tested by test/log/append.test.ts and test/log/message-index.slow.test.ts.
import { UnavailableError } from '../errors.ts'
import { metricOf } from '../event-types.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { DurabilityWait } from '../redis/durability.ts'
import { loadScript, runScript } from '../redis/script.ts'
import {
  bucketKeysOf,
  FULL_BUCKET,
  formatGenerations,
  type Generations,
  grow,
  memberField,
  parseGenerations,
  serverTimeMs,
  swapGenerations
} from './dedupe-index.ts'
import type { IndexKeys, PartitionKeys } from './keys.ts'
import type { LogEntry } from './log-entry.ts'
import type { MessageIndex } from './message-index.ts'

/** An entry to append. Without a stream it is only looked up. */
export type WriterEntry = Pick<
  LogEntry,
  'digest' | 'type' | 'event' | 'happenedAtMs' | 'messageId' | 'backfilled' | 'traceId'
> & {
  readonly stream: LogEntry['stream'] | undefined
}
export type WriterOutcome = 'appended' | 'duplicate' | 'unknown'

interface AppendCallOptions {
  readonly redis: RedisClient
  readonly maxLength: number
  readonly durable: DurabilityWait | undefined
  readonly messageIndex: MessageIndex | undefined
}

/** If a list of generations changes more often during one call, something is wrong. */
const MAX_STALE = 5

/** By the script's reply. The entry of a full stream has no outcome yet. */
const outcomes: readonly (WriterOutcome | undefined)[] = ['duplicate', 'appended', undefined, 'unknown']

const appendScript = loadScript(new URL('append.lua', import.meta.url))

/**
 * Calls of append.lua for one partition. Keeps the lists of generations that the script expects.
 *
 * @returns appends entries in one call, and resolves with the outcome of each; `undefined` where its stream is full
 */
export function createAppendCall(keys: PartitionKeys, options: AppendCallOptions) {
  const { redis, maxLength, durable, messageIndex } = options
  let generations: Generations = []
  let messageGenerations: Generations = []

  return async (entries: readonly WriterEntry[]): Promise<(WriterOutcome | undefined)[]> => {
    for (let attempt = 0; attempt < MAX_STALE; attempt++) {
      const [status, detail, messageDetail, ...replies] = await run(entries)
      if (status === 'done') {
        if (Number(detail) >= FULL_BUCKET) generations = await openLarger(keys, generations)
        if (Number(messageDetail) >= FULL_BUCKET) await openLargerMessageGeneration()
        return replies.map(reply => outcomes[Number(reply)])
      }
      generations = parseGenerations(String(detail))
      if (generations.length === 0) generations = await openLarger(keys, generations)
      if (messageIndex === undefined) continue
      messageGenerations = parseGenerations(String(messageDetail))
      if (messageGenerations.length === 0) await openLargerMessageGeneration()
    }
    throw new UnavailableError('redis_error')
  }

  async function run(entries: readonly WriterEntry[]): Promise<readonly unknown[]> {
    const scriptKeys = [keys.generations, keys.events, keys.parked]
    if (messageIndex !== undefined) scriptKeys.push(keys.messages.generations, keys.messages.filled)
    const args: (string | number)[] = [formatGenerations(generations), maxLength, durable ? '1' : '0']
    const newest = messageGenerations.slice(0, 1)
    for (const entry of entries) {
      scriptKeys.push(...bucketKeysOf(keys, generations, entry.digest))
      let mark = memberField(entry.digest) + streamMark(entry)
      const metric = messageIndex && metricDigest(messageIndex, entry)
      if (metric !== undefined) {
        const searched = entry.backfilled ? messageGenerations : newest
        scriptKeys.push(...bucketKeysOf(keys.messages, searched, metric))
        mark += metricMark(metric, entry)
      }
      args.push(mark, entry.type, entry.event)
    }
    if (messageIndex !== undefined) args.push(formatGenerations(messageGenerations))
    const connection = durable === undefined ? redis : await durable.connection()
    return (await runScript(connection, appendScript, scriptKeys, args)) as unknown[]
  }

  async function openLarger(index: IndexKeys, current: Generations): Promise<Generations> {
    return swapGenerations(redis, index, current, grow(current, await serverTimeMs(redis, index)))
  }

  async function openLargerMessageGeneration(): Promise<void> {
    messageGenerations = await openLarger(keys.messages, messageGenerations)
  }
}

/** The index of the stream among the script's keys. */
function streamMark({ stream }: WriterEntry): string {
  if (stream === undefined) return '0'
  return stream === 'events' ? '2' : '3'
}

/** @returns `undefined` if the entry does not report the metric of a message */
function metricDigest(index: MessageIndex, { messageId, type }: WriterEntry): string | undefined {
  const metric = messageId === undefined ? undefined : metricOf(type)
  return messageId === undefined || metric === undefined ? undefined : index.digestOf(messageId, metric)
}

function metricMark(digest: string, { backfilled, happenedAtMs }: WriterEntry): string {
  const atSeconds = happenedAtMs === undefined ? '' : Math.floor(happenedAtMs / 1000)
  return `${memberField(digest)}${backfilled ? '=' : ':'}${atSeconds}`
}
