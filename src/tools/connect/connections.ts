import { z } from 'zod'
import type { RedisClient } from '../../redis/connect.ts'
import { parseStored } from '../../stored-json.ts'
import type { WantedWebhook } from './differences.ts'

/**
 * What `cio-webhook connect` remembers, so that the service knows its own public endpoints:
 *
 * `<prefix>connections`: hash, source → JSON `{ endpoint, events, webhook }`
 * `<prefix>connections:check`: string, the last check of all of them as JSON: see stored-check.ts
 * `<prefix>connections:asking`: string with a time to live, held by the one replica that asks Customer.io
 */
export const connectionKeys = (prefix: string) => ({
  all: `${prefix}connections`,
  check: `${prefix}connections:check`,
  asking: `${prefix}connections:asking`
})

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

/** In the order of the sources' names. Skips what cannot be read. @throws the error of Redis */
export async function readConnections(redis: RedisClient, prefix: string): Promise<readonly Connection[]> {
  const stored = await redis.hgetall(connectionKeys(prefix).all)
  return Object.entries(stored)
    .sort()
    .flatMap(([source, text]) => {
      const connection = parseStored(schema, text)
      if (connection === undefined) return []
      const { endpoint, events, webhook } = connection
      return [{ source, endpoint, events, webhook }]
    })
}

/** The service checks it within a minute. @throws the error of Redis */
export async function rememberConnection(
  redis: RedisClient,
  prefix: string,
  { source, ...connection }: Connection
): Promise<void> {
  const keys = connectionKeys(prefix)
  await redis.hset(keys.all, source, JSON.stringify(connection))
  await redis.del(keys.check)
}
