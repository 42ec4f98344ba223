// Tested by test/tools/reconcile/reconcile-watch.slow.test.ts.
import { z } from 'zod'
import type { RedisClient } from '../../redis/connect.ts'
import { parseStored } from '../../stored-json.ts'
import { reconcileKeys } from './progress.ts'

const resultSchema = z.object({
  /** Of the last attempt, by the clock of Redis, Unix milliseconds. */
  at: z.number(),
  /** The last comparison that was finished. */
  finished: z
    .object({
      at: z.number(),
      /** End of its range, Unix seconds. */
      toSeconds: z.number(),
      /** When the oldest message was created of which an event may still be in the queue; Unix seconds. */
      waitingSince: z.number().optional(),
      /** Missing events that were not appended, by object type. */
      missing: z.record(z.string(), z.number())
    })
    .optional()
})

/** The last comparison of the service. */
export type StoredResult = z.infer<typeof resultSchema>

/** @throws the error of Redis */
export const readResult = async (redis: RedisClient, keyPrefix: string): Promise<StoredResult | undefined> =>
  parseStored(resultSchema, await redis.get(reconcileKeys(keyPrefix).result))

/** @throws the error of Redis */
export async function writeResult(
  redis: RedisClient,
  keyPrefix: string,
  result: StoredResult
): Promise<void> {
  await redis.set(reconcileKeys(keyPrefix).result, JSON.stringify(result))
}
