import type { ReportingWebhook } from '../../customerio/reporting-webhooks.ts'
import { uncertainNames, webhookEventNames } from '../../customerio/webhook-events.ts'
import { compileTypeGlobs } from '../../event-types.ts'
import { isSameEndpoint } from './endpoint.ts'

/** How a webhook differs from what is wanted. */
export type Difference =
  | { readonly kind: 'endpoint'; readonly is: string; readonly wanted: string }
  | { readonly kind: 'disabled' }
  /** Names of the App API. */
  | { readonly kind: 'missing_events'; readonly events: readonly string[] }
  | { readonly kind: 'first_only' }
  | { readonly kind: 'with_content' }

/** What the webhook of a source should be. */
export interface WantedWebhook {
  readonly endpoint: string
  /** Globs over `<object_type>.<metric>`; `undefined`: all events. */
  readonly events: readonly string[] | undefined
}

/** @throws TypeError that names a glob that cannot match anything */
export const wantedNames = (globs: readonly string[] | undefined): readonly string[] =>
  webhookEventNames(compileTypeGlobs(globs))

/** Events that a webhook has beyond the wanted ones are no difference: someone may need them. */
export function differencesOf(
  webhook: ReportingWebhook,
  { endpoint, events }: WantedWebhook
): readonly Difference[] {
  const differences: Difference[] = []
  if (!isSameEndpoint(webhook.endpoint, endpoint)) {
    differences.push({ kind: 'endpoint', is: webhook.endpoint, wanted: endpoint })
  }
  if (webhook.disabled) differences.push({ kind: 'disabled' })
  const missing = missingNames(webhook, wantedNames(events))
  if (missing.length > 0) differences.push({ kind: 'missing_events', events: missing })
  if (!webhook.fullResolution) differences.push({ kind: 'first_only' })
  if (webhook.withContent) differences.push({ kind: 'with_content' })
  return differences
}

export const missingNames = (webhook: ReportingWebhook, names: readonly string[]): readonly string[] =>
  names.filter(name => !webhook.events.includes(name) && !uncertainNames.has(name))

/** The webhook without its differences. */
export function corrected(
  webhook: ReportingWebhook,
  differences: readonly Difference[]
): Omit<ReportingWebhook, 'id'> {
  const { id: _, ...settings } = webhook
  const moved = differences.find(difference => difference.kind === 'endpoint')
  const missing = differences.find(difference => difference.kind === 'missing_events')
  return {
    ...settings,
    endpoint: moved?.wanted ?? webhook.endpoint,
    events: [...webhook.events, ...(missing?.events ?? [])],
    disabled: false,
    fullResolution: true,
    withContent: false
  }
}
