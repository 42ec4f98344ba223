// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import type { SentMessage } from '../../customerio/messages.ts'

/**
 * Metrics whose time Customer.io lists, and for which its reporting webhook sends an event of the same name. Of `opened`
 * and `clicked` it lists the first time only.
 */
const CHECKED = new Set(
  'sent delivered opened clicked converted bounced dropped failed spammed undeliverable unsubscribed deferred replied'.split(
    ' '
  )
)
/** Counts, and the time at which the message was made: no events. */
const NOT_EVENTS = new Set(
  'created human_opened prefetch_opened human_clicked prefetch_clicked machine_opened machine_clicked'.split(
    ' '
  )
)
/** Metrics whose events carry the reason. */
const FAILURES = new Set(['bounced', 'dropped', 'failed', 'undeliverable'])
const NAME = /^[a-z][a-z0-9_]{0,63}$/
/** Names of object types in the list of messages that differ from those of events. */
const objectTypes: ReadonlyMap<string, string> = new Map([['twilio', 'sms']])
/** The year 5138. A larger number is not in seconds. */
const MAX_SECONDS = 1e11

export interface ListedMetric {
  readonly name: string
  /** Unix seconds. */
  readonly atSeconds: number
}

interface ListedMetrics {
  readonly objectType: string
  /** In order of time. */
  readonly checked: readonly ListedMetric[]
  /** Names of metrics that cannot be compared: `attempted` and `drafted` can be there without an event. */
  readonly others: readonly string[]
}

export function metricsOf({ type, metrics }: SentMessage): ListedMetrics {
  const objectType = objectTypes.get(type) ?? (NAME.test(type) ? type : 'unknown')
  const checked: ListedMetric[] = []
  const others: string[] = []
  for (const [name, value] of Object.entries(metrics ?? {})) {
    if (NOT_EVENTS.has(name)) continue
    const isTime =
      typeof value === 'number' && Number.isSafeInteger(value) && value > 0 && value < MAX_SECONDS
    if (isTime && CHECKED.has(name) && objectType !== 'unknown') checked.push({ name, atSeconds: value })
    else others.push(NAME.test(name) ? name : 'unknown')
  }
  return { objectType, checked: checked.sort((a, b) => a.atSeconds - b.atSeconds), others }
}

/** What a message belongs to, such as `campaign 23`. */
export function parentOf(message: SentMessage): string {
  const { campaign_id, newsletter_id, broadcast_id, transactional_message_id } = message
  const parents = {
    campaign: campaign_id,
    newsletter: newsletter_id,
    broadcast: broadcast_id,
    transactional: transactional_message_id
  }
  for (const [kind, id] of Object.entries(parents)) {
    // Another text could be anything.
    if (id !== null && id !== undefined) return /^\d{1,20}$/.test(String(id)) ? `${kind} ${id}` : kind
  }
  return 'none'
}

/** The payload that the reporting webhook sends for a metric, without its `event_id`, as far as the list has its fields. */
export function payloadOf(message: SentMessage, objectType: string, { name, atSeconds }: ListedMetric) {
  const { id, customer_id, customer_identifiers, recipient, subject, failure_message } = message
  const data = {
    customer_id,
    identifiers: customer_identifiers,
    delivery_id: id,
    campaign_id: message.campaign_id,
    newsletter_id: message.newsletter_id,
    broadcast_id: message.broadcast_id,
    transactional_message_id: message.transactional_message_id,
    action_id: message.action_id,
    parent_action_id: message.parent_action_id,
    content_id: message.content_id,
    trigger_event_id: message.trigger_event_id,
    subject,
    recipient,
    failure_message: FAILURES.has(name) ? failure_message : undefined
  }
  const given = Object.entries(data).filter(([, value]) => value !== undefined && value !== null)
  return { object_type: objectType, metric: name, timestamp: atSeconds, data: Object.fromEntries(given) }
}
