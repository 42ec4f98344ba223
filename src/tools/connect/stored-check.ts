// Tested by test/tools/connect/webhook-watch.test.ts.
import { z } from 'zod'
import { webhookStates } from '../../ops/outcomes.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { parseStored } from '../../stored-json.ts'
import { connectionKeys } from './connections.ts'

const schema = z.object({
  /** Unix milliseconds. */
  at: z.number(),
  checks: z.array(
    z.object({
      source: z.string(),
      endpoint: z.string(),
      webhook: z.string(),
      /** Globs over `<object_type>.<metric>` that it has to send; all events without any. */
      events: z.array(z.string()).readonly().optional(),
      state: z.enum(webhookStates),
      problem: z.string().optional(),
      /** When a state other than `ok` was logged last, in Unix milliseconds. */
      loggedAt: z.number().optional()
    })
  )
})

/** What the last check of all webhooks has found. */
export type StoredCheck = z.infer<typeof schema>

/** @returns `undefined` if there was none, or if others have damaged it. @throws the error of Redis */
export async function readCheck(redis: RedisClient, prefix: string): Promise<StoredCheck | undefined> {
  return parseStored(schema, await redis.get(connectionKeys(prefix).check))
}

/** @throws the error of Redis */
export async function writeCheck(redis: RedisClient, prefix: string, check: StoredCheck): Promise<void> {
  await redis.set(connectionKeys(prefix).check, JSON.stringify(check))
}
