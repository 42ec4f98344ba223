import type { WebhookList } from '../../customerio/reporting-webhooks.ts'
import type { WebhookState } from '../../ops/outcomes.ts'
import type { SourceStats } from '../../receive/delivery-stats.ts'
import type { Connection } from './connections.ts'
import { type Difference, differencesOf, missingNames, wantedNames } from './differences.ts'
import { shownEndpoint } from './endpoint.ts'
import { isOfConnection, webhooksOf } from './plan.ts'

/** The result of one check. */
export interface WebhookCheck {
  readonly source: string
  readonly endpoint: string
  readonly webhook: string
  /** Globs over `<object_type>.<metric>` that it has to send; `undefined`: all events. */
  readonly events: readonly string[] | undefined
  readonly state: WebhookState
  /** In one sentence; `undefined` if the state is `ok`. */
  readonly problem: string | undefined
  readonly differences: readonly Difference[]
}

interface CheckInput extends WebhookList {
  /** Types that consumers name, such as `email.*`. A consumer without types takes what comes. */
  readonly consumerTypes: readonly string[]
  /** Deliveries of the source in the last hours. */
  readonly deliveries: SourceStats | undefined
}

/** More names would make a line that nobody reads. */
const SHOWN_NAMES = 5

/** Compares one connection with the webhooks at Customer.io, and with the deliveries. */
export function checkConnection(connection: Connection, input: CheckInput): WebhookCheck {
  const { source, endpoint } = connection
  const events = neededEvents(connection, input.consumerTypes)
  const found = webhooksOf(input.webhooks, endpoint)
  const [webhook] = found
  const result = (state: WebhookState, problem?: string, id = connection.webhook): WebhookCheck => ({
    source,
    endpoint,
    webhook: id,
    events,
    state,
    problem,
    differences: webhook === undefined ? [] : differencesOf(webhook, connection)
  })
  if (webhook === undefined) {
    const unknown = input.unreadable.find(isOfConnection(connection))
    if (unknown !== undefined) return result('unchecked', unknown.error.message)
    const moved = input.webhooks.find(({ id }) => String(id) === connection.webhook)
    return moved === undefined
      ? result(
          'deleted',
          `no webhook at Customer.io posts to ${endpoint}, and the webhook ${connection.webhook} is gone`
        )
      : result(
          'elsewhere',
          `the webhook ${connection.webhook} posts to ${shownEndpoint(moved.endpoint)}, not to ${endpoint}`
        )
  }
  const id = String(webhook.id)
  if (webhook.disabled) return result('disabled', `the webhook ${id} is disabled at Customer.io`, id)
  if (hasUnknownKey(input.deliveries)) {
    return result(
      'unknown_key',
      `the webhook ${id} signs with a key that is not configured for the source ${source}`,
      id
    )
  }
  const missing = missingNames(webhook, wantedNames(events))
  if (missing.length > 0) {
    const more = missing.length > SHOWN_NAMES ? ` and ${missing.length - SHOWN_NAMES} more` : ''
    return result(
      'incomplete',
      `the webhook ${id} does not send ${missing.slice(0, SHOWN_NAMES).join(', ')}${more}`,
      id
    )
  }
  if (found.length > 1) {
    const ids = found.map(({ id }) => id).join(', ')
    return result('duplicated', `the webhooks ${ids} all post to ${endpoint}`, id)
  }
  return result('ok', undefined, id)
}

/** Those that it was connected for, and those of consumers that are not among them. */
function neededEvents(
  { events }: Connection,
  consumerTypes: readonly string[]
): readonly string[] | undefined {
  if (events === undefined) return undefined
  const connected = new Set(wantedNames(events))
  const further = consumerTypes.filter(type => wantedNames([type]).some(name => !connected.has(name)))
  return [...events, ...new Set(further)]
}

/** Listed addresses send invalid signatures only, so it is probably not another tenant's webhook. */
function hasUnknownKey(deliveries: SourceStats | undefined): boolean {
  if (deliveries === undefined) return false
  const { keys, listedFailures } = deliveries
  return (listedFailures.mismatch ?? 0) > 0 && (keys.current ?? 0) + (keys.previous ?? 0) === 0
}
