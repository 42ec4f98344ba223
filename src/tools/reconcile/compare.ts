// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SentMessage } from '../../customerio/messages.ts'
import type { PartitionKeys } from '../../log/keys.ts'
import { findMetrics, type MessageIndex } from '../../log/message-index.ts'
import { partitionOf } from '../../log/partition.ts'
import { type BackfilledEvent, backfilledEvent, backfilledSubject } from '../../receive/backfilled-entry.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Source } from '../../settings/sources.ts'
import { type ListedMetric, metricsOf, parentOf, payloadOf } from './message-metrics.ts'
import { addCount, addResult, type Report } from './report.ts'

export interface CompareOptions {
  readonly redis: RedisClient
  readonly partitions: readonly PartitionKeys[]
  readonly index: MessageIndex
  /** The webhook's source: its policy decides what is personal data. */
  readonly source: Source
  /** From when on the index is complete, in Unix milliseconds. */
  readonly indexSinceMs: number
  /** Names such as `email_opened`; `undefined`: all events. */
  readonly webhookEvents: ReadonlySet<string> | undefined
}

/** A metric that is not in the index. */
export type MissingMetric = Candidate

/** The service receives deliveries meanwhile: to sanitize so many takes about a millisecond. */
const EVENTS_PER_TURN = 20

interface Candidate {
  readonly message: SentMessage
  readonly objectType: string
  readonly listed: ListedMetric
  readonly digest: string
}

/**
 * Looks up the metrics of messages in the message index.
 *
 * @param report the results are added to it
 * @param sentUntilMs what happened later may still be in the queue at Customer.io; Unix milliseconds
 * @returns the missing ones
 * @throws the error of Redis
 */
export async function compareMessages(
  options: CompareOptions,
  messages: readonly SentMessage[],
  report: Report,
  sentUntilMs: number
): Promise<readonly MissingMetric[]> {
  const candidates = messages.flatMap(message => candidatesOf(options, message, report))
  const found = await lookUp(options, candidates)
  return candidates.filter(({ message, objectType, listed }, index) => {
    const name = `${objectType}_${listed.name}`
    if (!found[index] && options.webhookEvents?.has(name) === false) {
      addCount(report.notChecked.notInWebhook, name)
      return false
    }
    const isWaiting = listed.atSeconds * 1000 > sentUntilMs
    const result = found[index] ? 'found' : isWaiting ? 'waiting' : 'missing'
    addResult(report, { ...listed, objectType, metric: listed.name, campaign: parentOf(message) }, result)
    if (result === 'waiting') {
      report.waitingSince = Math.min(report.waitingSince ?? Infinity, message.created ?? listed.atSeconds)
    }
    return result === 'missing'
  })
}

/** The events of missing metrics, sanitized by the policy of the source. */
export async function eventsOf(
  missing: readonly MissingMetric[],
  source: Source
): Promise<readonly BackfilledEvent[]> {
  const events: BackfilledEvent[] = []
  for (const { message, objectType, listed, digest } of missing) {
    events.push(backfilledEvent(payloadOf(message, objectType, listed), message.id, digest, source))
    if (events.length % EVENTS_PER_TURN === 0) await nextTurn()
  }
  return events
}

function candidatesOf(
  { index, indexSinceMs }: CompareOptions,
  message: SentMessage,
  report: Report
): readonly Candidate[] {
  const { objectType, checked, others } = metricsOf(message)
  report.messages++
  for (const name of others) addCount(report.notChecked.otherMetrics, name)
  return checked.flatMap(listed => {
    if (listed.atSeconds * 1000 < indexSinceMs) {
      report.notChecked.beforeIndex++
      return []
    }
    return [{ message, objectType, listed, digest: index.digestOf(message.id, listed.name) }]
  })
}

/** Asks the partition of the person first. The event can be in another: it may have been without an id, or PARTITIONS changed. */
async function lookUp(
  { redis, partitions, source }: CompareOptions,
  candidates: readonly Candidate[]
): Promise<readonly boolean[]> {
  const found = candidates.map(() => false)
  const ask = async (keys: PartitionKeys, indexes: readonly number[]): Promise<void> => {
    if (indexes.length === 0) return
    const replies = await findMetrics(
      redis,
      keys,
      indexes.map(index => candidates[index]?.digest ?? '')
    )
    for (const [at, index] of indexes.entries()) found[index] ||= replies[at] ?? false
  }
  const expected: number[] = []
  for (const { message } of candidates) {
    const ids = { customer_id: message.customer_id, identifiers: { id: message.customer_identifiers?.id } }
    const subject = partitions.length === 1 ? undefined : backfilledSubject(ids, source)
    expected.push(partitionOf(subject ?? '', partitions.length))
    if (expected.length % EVENTS_PER_TURN === 0) await nextTurn()
  }
  for (const [partition, keys] of partitions.entries()) {
    await ask(
      keys,
      [...candidates.keys()].filter(index => expected[index] === partition)
    )
  }
  for (const [partition, keys] of partitions.entries()) {
    await ask(
      keys,
      [...candidates.keys()].filter(index => !found[index] && expected[index] !== partition)
    )
  }
  return found
}
