import type { ReportingWebhook, UnreadableWebhook, WebhookList } from '../../customerio/reporting-webhooks.ts'
import type { Connection } from './connections.ts'
import { type Difference, differencesOf, type WantedWebhook } from './differences.ts'
import { isSameEndpoint, sourceOfEndpoint } from './endpoint.ts'

/** What has to be done at Customer.io. */
export type WebhookPlan =
  | {
      readonly action: 'create'
      /** They post to the same source at another host: perhaps one of them was meant. */
      readonly similar: readonly ReportingWebhook[]
    }
  | {
      readonly action: 'change' | 'none'
      readonly webhook: ReportingWebhook
      readonly differences: readonly Difference[]
    }
  /** Several enabled webhooks post to the endpoint: each event comes once per webhook. */
  | { readonly action: 'choose'; readonly webhooks: readonly ReportingWebhook[] }
  /** There is no webhook of the id that was asked for. */
  | { readonly action: 'no_such_webhook' }

/**
 * @param id the webhook that the operator chose, which may post elsewhere; `undefined`: found by its endpoint
 * @throws AppApiError if this webhook is unreadable: to create a second one would be wrong
 */
export function planWebhook(
  { webhooks, unreadable }: WebhookList,
  wanted: WantedWebhook,
  id: string | undefined
): WebhookPlan {
  if (id !== undefined) {
    const chosen = webhooks.find(webhook => String(webhook.id) === id)
    if (chosen !== undefined) return planChange(chosen, wanted)
    throwError(unreadable.find(webhook => String(webhook.id) === id))
    return { action: 'no_such_webhook' }
  }
  const found = webhooksOf(webhooks, wanted.endpoint)
  if (found.length > 1) return { action: 'choose', webhooks: found }
  const [webhook] = found
  if (webhook !== undefined) return planChange(webhook, wanted)
  throwError(unreadable.find(({ endpoint }) => isSameEndpoint(endpoint, wanted.endpoint)))
  const source = sourceOfEndpoint(wanted.endpoint)
  const isSimilar = ({ endpoint }: ReportingWebhook): boolean =>
    source !== undefined && URL.canParse(endpoint) && sourceOfEndpoint(endpoint) === source
  return { action: 'create', similar: webhooks.filter(isSimilar) }
}

function throwError(webhook: UnreadableWebhook | undefined): void {
  if (webhook !== undefined) throw webhook.error
}

/** Whether an unreadable webhook is the connected one: by its endpoint, or by its id if it posts elsewhere now. */
export const isOfConnection =
  (connection: Pick<Connection, 'endpoint' | 'webhook'>) =>
  ({ id, endpoint }: UnreadableWebhook): boolean =>
    isSameEndpoint(endpoint, connection.endpoint) || String(id) === connection.webhook

/** The enabled webhooks of an endpoint; if all are disabled, the first one. */
export function webhooksOf(
  webhooks: readonly ReportingWebhook[],
  endpoint: string
): readonly ReportingWebhook[] {
  const found = webhooks.filter(webhook => isSameEndpoint(webhook.endpoint, endpoint))
  const enabled = found.filter(({ disabled }) => !disabled)
  return enabled.length > 0 ? enabled : found.slice(0, 1)
}

function planChange(webhook: ReportingWebhook, wanted: WantedWebhook): WebhookPlan {
  const differences = differencesOf(webhook, wanted)
  return { action: differences.length === 0 ? 'none' : 'change', webhook, differences }
}
