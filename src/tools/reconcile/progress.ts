// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { createLease, type Lease } from '../../group/lease.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { parseStored } from '../../stored-json.ts'
import { reportSchema } from './report.ts'

/** Who compares. An interrupted comparison of an operator is not dropped by the next one of the service. */
export type Runner = 'command' | 'service'

/**
 * Comparisons in Redis, so that one that was interrupted goes on where it was. `<runner>` is `command` or `service`.
 *
 * `<prefix>{reconcile}:progress:<runner>`: string, the range, the cursor of the next page, and the counts
 * `<prefix>{reconcile}:missing:<runner>`: sorted set of the events that are to be appended, by their time; sanitized
 * `<prefix>{reconcile}:lock`: string, the process that compares
 * `<prefix>{reconcile}:result`: string, the last comparison of the service: see result.ts
 */
export const reconcileKeys = (prefix: string, runner: Runner = 'command') => ({
  progress: `${prefix}{reconcile}:progress:${runner}`,
  missing: `${prefix}{reconcile}:missing:${runner}`,
  lock: `${prefix}{reconcile}:lock`,
  result: `${prefix}{reconcile}:result`
})

const progressSchema = z.object({
  startedAtMs: z.number(),
  runner: z.enum(['command', 'service']),
  fromSeconds: z.number(),
  toSeconds: z.number(),
  source: z.string(),
  fill: z.boolean(),
  /** Where the next page begins; `undefined` on the first. */
  cursor: z.string().optional(),
  /** Digests of the ids on the page before. A message that is sent meanwhile can move others from one page to the next. */
  pageBefore: z.array(z.string()).default([]),
  /** Whether the last page was compared. */
  isListed: z.boolean(),
  report: reportSchema
})
export type Progress = z.infer<typeof progressSchema>

/** A cursor of Customer.io is not promised to be valid for long. */
const KEPT_SECONDS = 24 * 60 * 60
/** The lock of a process that was killed expires after this time. */
export const LOCK_MS = 30_000

/** @returns the comparison of a command that was interrupted last; `undefined` if there is none. @throws the error of Redis */
export async function readProgress(redis: RedisClient, keyPrefix: string): Promise<Progress | undefined> {
  return parseStored(progressSchema, await redis.get(reconcileKeys(keyPrefix).progress))
}

/** @throws the error of Redis */
export async function saveProgress(redis: RedisClient, keyPrefix: string, progress: Progress): Promise<void> {
  const { progress: key, missing } = reconcileKeys(keyPrefix, progress.runner)
  await redis.set(key, JSON.stringify(progress), 'EX', KEPT_SECONDS)
  await redis.expire(missing, KEPT_SECONDS)
}

/** Forgets an interrupted comparison. @throws the error of Redis */
export async function clearProgress(redis: RedisClient, keyPrefix: string, runner: Runner): Promise<void> {
  const { progress, missing } = reconcileKeys(keyPrefix, runner)
  await redis.unlink(progress, missing)
}

/** Only one process compares: two would ask twice as often, and count what the other one fills. */
export function reconcileLock(redis: RedisClient, keyPrefix: string): Lease {
  return createLease(redis, reconcileKeys(keyPrefix).lock, randomUUID(), LOCK_MS)
}
