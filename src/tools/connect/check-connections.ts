// Tested by test/tools/connect/webhook-watch.test.ts and test/cli/connect/command.slow.test.ts.
import type { AppApi } from '../../customerio/app-api.ts'
import { listReportingWebhooks } from '../../customerio/reporting-webhooks.ts'
import { readDeliveryStats } from '../../receive/delivery-stats.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { checkConnection, type WebhookCheck } from './check.ts'
import { type Connection, readConnections } from './connections.ts'

interface CheckOptions {
  readonly api: AppApi
  readonly redis: RedisClient
  readonly keyPrefix: string
  /** Names of the configured sources: a webhook of another one was given up, and is not checked. */
  readonly sources: readonly string[]
  readonly consumers: readonly { readonly types?: readonly string[] | undefined }[]
  /** Unix milliseconds. */
  readonly now: () => number
  /** Ends the check, which then rejects. */
  readonly signal?: AbortSignal
}

type Connected = Pick<CheckOptions, 'redis' | 'keyPrefix' | 'sources'>

/** After a wrong signature, Customer.io waits for an hour: the next one is certainly seen within two. */
const DELIVERIES_MS = 2 * 60 * 60 * 1000

/** The webhooks that were connected, of the configured sources. @throws the error of Redis */
export async function connectionsOf({
  redis,
  keyPrefix,
  sources
}: Connected): Promise<readonly Connection[]> {
  const connections = await readConnections(redis, keyPrefix)
  return connections.filter(({ source }) => sources.includes(source))
}

/** Sources with a connected webhook that are not configured. @throws the error of Redis */
export async function unconfiguredSources({
  redis,
  keyPrefix,
  sources
}: Connected): Promise<readonly string[]> {
  const connections = await readConnections(redis, keyPrefix)
  return connections.map(({ source }) => source).filter(source => !sources.includes(source))
}

/**
 * Checks every webhook that was connected. Without one, Customer.io is not asked.
 *
 * @throws AppApiError, and the error of Redis
 */
export async function checkConnections(options: CheckOptions): Promise<readonly WebhookCheck[]> {
  const { api, redis, keyPrefix, consumers, now, signal } = options
  const connections = await connectionsOf(options)
  if (connections.length === 0) return []
  const list = await listReportingWebhooks(api, signal)
  const nowMs = now()
  const { sources } = await readDeliveryStats(redis, keyPrefix, {
    fromMs: nowMs - DELIVERIES_MS,
    toMs: nowMs
  })
  const consumerTypes = consumers.flatMap(({ types = [] }) => types)
  return connections.map(connection =>
    checkConnection(connection, { ...list, consumerTypes, deliveries: sources.get(connection.source) })
  )
}
