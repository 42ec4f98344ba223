import { z } from 'zod'
import type { RedisClient } from '../../redis/connect.ts'
import { parseStored } from '../../stored-json.ts'
import type { WantedWebhook } from './differences.ts'

/**
 * What `cio-webhook connect` remembers, so that the service knows its own public endpoints:
 *
 * `<prefix>connections`: hash, source → JSON `{ endpoint, events, webhook }`
 */
const connectionsKey = (prefix: string): string => `${prefix}connections`

/** The reporting webhook of a source. */
export interface Connection extends WantedWebhook {
  readonly source: string
  /** The id at Customer.io. */
  readonly webhook: string
}

const schema = z.object({
  endpoint: z.url(),
  events: z.array(z.string()).optional(),
  webhook: z.string()
})

/** Skips what cannot be read. @throws the error of Redis */
export async function readConnections(redis: RedisClient, prefix: string): Promise<readonly Connection[]> {
  const stored = await redis.hgetall(connectionsKey(prefix))
  return Object.entries(stored).flatMap(([source, text]) => {
    const connection = parseStored(schema, text)
    if (connection === undefined) return []
    const { endpoint, events, webhook } = connection
    return [{ source, endpoint, events, webhook }]
  })
}

/** @throws the error of Redis */
export async function rememberConnection(
  redis: RedisClient,
  prefix: string,
  { source, ...connection }: Connection
): Promise<void> {
  await redis.hset(connectionsKey(prefix), source, JSON.stringify(connection))
}
