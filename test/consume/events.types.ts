/*
 * Tests of the event types. Nothing here runs: if it does not compile, the build of the tests fails. A
 * `@ts-expect-error` without an error fails too.
 */
import type { CustomerEvent, DocumentedEvent, ObjectType } from '../../src/consume/consumer.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(proof?: T): T | undefined => proof

declare const event: CustomerEvent

// The type narrows the data.
if (event.type === 'io.customer.email.bounced') {
  holds<Equal<typeof event.data.data.failure_message, string>>()
  holds<Equal<typeof event.data.data.subject, '[REDACTED]'>>()
  holds<Equal<typeof event.data.data.recipient_hash, string | null>>()
  holds<Equal<typeof event.data.object_type, 'email'>>()
  holds<Equal<typeof event.data.metric, 'bounced'>>()
  // @ts-expect-error: the policy removes the address
  event.data.data.recipient
  // @ts-expect-error: a bounce has no link
  event.data.data.href
}

if (event.type === 'io.customer.email.clicked') {
  holds<Equal<typeof event.data.data.href, string>>()
  holds<Equal<typeof event.data.data.link_id, number>>()
  holds<Equal<typeof event.data.data.machine, boolean | undefined>>()
}

if (event.type === 'io.customer.push.bounced') {
  const [device] = event.data.data.recipients
  holds<Equal<typeof device, (typeof event.data.data.recipients)[number] | undefined>>()
  if (device !== undefined) {
    holds<Equal<typeof device.device_id_hash, string | null>>()
    // @ts-expect-error: the policy removes the token of a device
    device.device_id
  }
}

if (event.type === 'io.customer.sms.replied') {
  holds<Equal<typeof event.data.data.to_hash, string | null>>()
  holds<Equal<typeof event.data.data.inbound_event_id, string>>()
}

if (event.type === 'io.customer.customer.unsubscribed') {
  holds<Equal<typeof event.data.data.identifiers.email_hash, string | null | undefined>>()
  holds<Equal<typeof event.data.data.email_address_hash, string | null>>()
  // @ts-expect-error: it is about a person, not about a message
  event.data.data.delivery_id
}

// This event has `object_type_type` instead of `object_type`.
if (event.type === 'io.customer.customer.cio_subscription_preferences_changed') {
  holds<Equal<typeof event.data.object_type_type, 'customer' | undefined>>()
  // @ts-expect-error: it has no object_type
  event.data.object_type
}

// Four events are documented only by name: fields of similar events can be missing.
if (event.type === 'io.customer.email.deferred') {
  holds<Equal<typeof event.data.data.delivery_id, string>>()
  holds<Equal<typeof event.data.data.failure_message, string | undefined>>()
  holds<Equal<typeof event.data.data.recipient_hash, string | null | undefined>>()
}
if (event.type === 'io.customer.sms.dropped') {
  holds<Equal<typeof event.data.data.failure_message, string | undefined>>()
}
if (event.type === 'io.customer.slack.converted' || event.type === 'io.customer.webhook.converted') {
  holds<Equal<typeof event.data.data.recipient_hash, string | null | undefined>>()
}

// An unsubscription by e-mail is about a message or a person.
if (event.type === 'io.customer.email.unsubscribed') {
  const { data } = event.data
  if (data.delivery_id !== undefined) holds<Equal<typeof data.subject, '[REDACTED]'>>()
  else holds<Equal<typeof data.email_address_hash, string | null>>()
}

// Undocumented events occur too, with unknown data.
switch (event.type) {
  case 'io.customer.unknown':
    holds<Equal<(typeof event.data)[string], unknown>>()
    break
  case 'io.customer.whatsapp.opened':
    holds<Equal<typeof event.data.metric, 'opened'>>()
    break
  default:
    // @ts-expect-error: it may be any other event
    event.data.data.failure_message
}
// @ts-expect-error: a misspelt type
if (event.type === 'io.customer.email.bouncd') void 0
if (String(event.type) === 'io.customer.email.snoozed') void 0

// @ts-expect-error: events are read-only
event.data = {}

/** Every pair of Customer.io's description and of its list of event names, as collected in November 2026. */
interface Pairs {
  customer: 'subscribed' | 'unsubscribed' | 'cio_subscription_preferences_changed'
  email:
    | ('drafted' | 'attempted' | 'sent' | 'delivered' | 'opened' | 'clicked' | 'converted')
    | ('unsubscribed' | 'bounced' | 'deferred' | 'dropped' | 'spammed' | 'failed' | 'undeliverable')
  push:
    | ('drafted' | 'attempted' | 'sent' | 'delivered' | 'opened' | 'clicked' | 'converted')
    | ('bounced' | 'dropped' | 'failed' | 'undeliverable')
  in_app: 'drafted' | 'attempted' | 'sent' | 'opened' | 'clicked' | 'converted' | 'failed' | 'undeliverable'
  sms:
    | ('drafted' | 'attempted' | 'sent' | 'delivered' | 'clicked' | 'converted')
    | ('bounced' | 'dropped' | 'failed' | 'undeliverable' | 'replied')
  whatsapp:
    | ('drafted' | 'attempted' | 'sent' | 'delivered' | 'opened' | 'clicked' | 'converted')
    | ('bounced' | 'dropped' | 'failed' | 'undeliverable' | 'replied')
  slack: 'drafted' | 'attempted' | 'sent' | 'clicked' | 'converted' | 'failed' | 'undeliverable'
  webhook: 'drafted' | 'attempted' | 'sent' | 'clicked' | 'converted' | 'failed' | 'undeliverable'
}
type Documented = { [O in keyof Pairs]: `io.customer.${O}.${Pairs[O]}` }[keyof Pairs]
/** A subscription can be changed through any channel. */
type BySubscription = `io.customer.${ObjectType}.${Pairs['customer']}`

holds<Equal<DocumentedEvent['type'], Documented | BySubscription>>()
holds<Equal<ObjectType, keyof Pairs>>()

/** Each type narrows to the events of that type alone. */
type Narrowed<T extends DocumentedEvent['type']> = Extract<CustomerEvent, { readonly type: T }>
holds<
  { [T in DocumentedEvent['type']]: Equal<Narrowed<T>['type'], T> }[DocumentedEvent['type']] extends true
    ? true
    : false
>()
