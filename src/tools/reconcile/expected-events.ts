// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import { type AppApi, AppApiError } from '../../customerio/app-api.ts'
import { listReportingWebhooks, type ReportingWebhook } from '../../customerio/reporting-webhooks.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Source } from '../../settings/sources.ts'
import { type Connection, readConnections } from '../connect/connections.ts'
import { sourceOfEndpoint } from '../connect/endpoint.ts'
import { isOfConnection, webhooksOf } from '../connect/plan.ts'

interface ExpectOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly api: AppApi
  readonly source: Pick<Source, 'name'>
  readonly signal: AbortSignal
}

/**
 * The events that the webhook of a source asks for, also while it is disabled: the one that was connected, or without a
 * connection one whose endpoint has the path of the source.
 *
 * @returns `undefined` if Customer.io lists no such webhook, or declines to list them: then all events are expected
 * @throws AppApiError, also if this webhook is unreadable, and the error of Redis
 */
export async function eventsOfWebhook({
  redis,
  keyPrefix,
  api,
  source: { name },
  signal
}: ExpectOptions): Promise<ReadonlySet<string> | undefined> {
  const connected = (await readConnections(redis, keyPrefix)).find(({ source }) => source === name)
  try {
    const listed = await listReportingWebhooks(api, signal)
    const isOfSource = ({ endpoint }: Pick<ReportingWebhook, 'endpoint'>): boolean =>
      URL.canParse(endpoint) && sourceOfEndpoint(endpoint) === name
    const webhooks =
      connected === undefined
        ? listed.webhooks.filter(isOfSource)
        : connectedWebhooks(listed.webhooks, connected)
    const unreadable = listed.unreadable.find(
      connected === undefined ? isOfSource : isOfConnection(connected)
    )
    if (webhooks.length === 0 && unreadable !== undefined) throw unreadable.error
    return webhooks.length === 0 ? undefined : new Set(webhooks.flatMap(({ events }) => events))
  } catch (error) {
    if (error instanceof AppApiError && (error.kind === 'declined' || error.kind === 'not_found'))
      return undefined
    throw error
  }
}

/** As `checkConnection` finds it: if it was recreated by hand, its id is another one. */
function connectedWebhooks(
  listed: readonly ReportingWebhook[],
  { endpoint, webhook }: Connection
): readonly ReportingWebhook[] {
  const found = webhooksOf(listed, endpoint)
  return found.length > 0 ? found : listed.filter(({ id }) => String(id) === webhook)
}
