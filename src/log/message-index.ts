import { createHmac, hash } from 'node:crypto'
import type { RedisClient } from '../redis/connect.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { writeWhileFull } from '../redis/write-while-full.ts'
import type { Secret } from '../secret.ts'
import {
  bucketKeysOf,
  formatGenerations,
  memberField,
  parseGenerations,
  restart,
  rotateAndExpire
} from './dedupe-index.ts'
import { type PartitionKeys, partitionKeys } from './keys.ts'

/*
 * The message index remembers which metrics of which messages were appended, so that `cio-webhook reconcile` can find
 * the ones that Customer.io lists and that never arrived. It has the generations and small hashes of the dedupe index
 * (about 22 bytes per metric), and is written in the call that appends the event: an event is in both or in neither.
 *
 * The id of a message is sensitive, so its digest is kept, under PII_HASH_KEY where that is set, as for addresses. Without
 * the key it is SHA-256: a message id has 28 characters, too many to find one by trial. An index that was written under
 * another key, or that a replica did not write to, would report events as missing that are there: it is dropped.
 */
export interface MessageIndex {
  /** Identifies the key of the digests, and reveals nothing of it. */
  readonly keyId: string
  /** @returns base64, as long as a digest of the dedupe index */
  digestOf(messageId: string, metric: string): string
}

/** @param hashKey `PII_HASH_KEY` */
export function createMessageIndex(hashKey: Secret | undefined): MessageIndex {
  // As a prefix, which takes half the time of a MAC per event: less than half of the digest is kept, so it cannot be extended.
  const prefix =
    hashKey === undefined ? '' : createHmac('sha256', hashKey.reveal()).update('message index').digest('hex')
  return {
    keyId: hashKey?.id ?? 'none',
    digestOf: (messageId, metric) => hash('sha256', `${prefix}message\0${messageId}\0${metric}`, 'base64')
  }
}

/** As in append.lua: Customer.io retries for 7 days. */
const FILLED_SECONDS = 8 * 24 * 60 * 60
/** Instead of the id of a key, while generations that are still listed lose their buckets. */
const STARTING_AGAIN = 'starting-again'
const SCANNED_FIELDS = 500
/** Metrics per call: with four generations about a millisecond of Redis. */
const MAX_LOOKUPS = 250
const findScript = loadScript(new URL('find-metrics.lua', import.meta.url))

/**
 * Opens, rotates and expires the generations of a partition; without an index it empties what is left of one. Several
 * processes may do so at the same time.
 *
 * @param windowMs how long a metric is remembered, at least
 * @throws the error of Redis
 */
export async function maintainMessageIndex(
  redis: RedisClient,
  { messages }: PartitionKeys,
  index: Pick<MessageIndex, 'keyId'> | undefined,
  windowMs: number
): Promise<void> {
  const keyId = await redis.get(messages.keyId)
  if (keyId !== (index?.keyId ?? null)) {
    await writeWhileFull(redis, 'set', messages.keyId, [STARTING_AGAIN])
    await restart(redis, messages)
    if (index === undefined) await redis.del(messages.keyId)
    else await redis.set(messages.keyId, index.keyId)
  }
  if (index !== undefined) await rotateAndExpire(redis, messages, windowMs)
}

/**
 * The index that the service keeps, for a command that appends.
 *
 * @returns `undefined` if it keeps none
 * @throws the error of Redis
 */
export async function keptMessageIndex(
  redis: RedisClient,
  keyPrefix: string,
  hashKey: Secret | undefined
): Promise<MessageIndex | undefined> {
  const keyId = await redis.get(partitionKeys(keyPrefix, 0).messages.keyId)
  return keyId === null ? undefined : createMessageIndex(hashKey)
}

/**
 * From when on the index of every partition is complete, in Unix milliseconds.
 *
 * @returns `undefined` if a partition has no index, or one under another key
 * @throws the error of Redis
 */
export async function messageIndexSince(
  redis: RedisClient,
  partitions: readonly PartitionKeys[],
  { keyId }: Pick<MessageIndex, 'keyId'>
): Promise<number | undefined> {
  const since = await Promise.all(
    partitions.map(async ({ messages }) => {
      if ((await redis.get(messages.keyId)) !== keyId) return undefined
      return parseGenerations((await redis.get(messages.generations)) ?? '').at(-1)?.openedAtMs
    })
  )
  return since.every(openedAtMs => openedAtMs !== undefined) ? Math.max(...since) : undefined
}

/**
 * Which of these digests are in the index of a partition.
 *
 * @returns one answer per digest; none is there if the partition has no index
 * @throws the error of Redis
 */
export async function findMetrics(
  redis: RedisClient,
  { messages }: PartitionKeys,
  digests: readonly string[]
): Promise<readonly boolean[]> {
  const found: boolean[] = []
  let generations = parseGenerations((await redis.get(messages.generations)) ?? '')
  while (found.length < digests.length && generations.length > 0) {
    const asked = digests.slice(found.length, found.length + MAX_LOOKUPS)
    const buckets = asked.flatMap(digest => bucketKeysOf(messages, generations, digest))
    const args = [formatGenerations(generations), ...asked.map(memberField)]
    const keys = [messages.generations, ...buckets]
    const [status, ...detail] = (await runScript(redis, findScript, keys, args)) as [string, ...unknown[]]
    if (status === 'done') found.push(...detail.map(reply => reply === 1))
    else generations = parseGenerations(String(detail[0]))
  }
  return digests.map((_, index) => found[index] ?? false)
}

/**
 * Forgets the events that `reconcile` appended whose original can no longer come. The expiry of the hash starts anew with
 * each fill, so it alone would let a service that often fills keep all of them.
 *
 * @throws the error of Redis
 */
export async function forgetFilled(
  redis: RedisClient,
  { messages }: PartitionKeys,
  nowMs: number
): Promise<void> {
  const beforeSeconds = nowMs / 1000 - FILLED_SECONDS
  let cursor = '0'
  do {
    const [next, fields] = await redis.hscan(messages.filled, cursor, 'COUNT', SCANNED_FIELDS)
    const old = fields.filter((_, index) => index % 2 === 0 && Number(fields[index + 1]) < beforeSeconds)
    if (old.length > 0) await redis.hdel(messages.filled, ...old)
    cursor = next
  } while (cursor !== '0')
}
