/*
 * What the compiler has to know of events. Nothing here runs: it compiles, or the build of the tests fails. Each
 * `@ts-expect-error` fails too, when what it expects to be refused is not.
 */
import type { CustomerEvent, DocumentedEvent, ObjectType } from '../../src/consume/consumer.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(proof?: T): T | undefined => proof

declare const event: CustomerEvent

// A type tells the data.
if (event.type === 'io.customer.email.bounced') {
  holds<Equal<typeof event.data.data.failure_message, string>>()
  holds<Equal<typeof event.data.data.subject, '[REDACTED]'>>()
  holds<Equal<typeof event.data.data.recipient_hash, string | null>>()
  holds<Equal<typeof event.data.object_type, 'email'>>()
  holds<Equal<typeof event.data.metric, 'bounced'>>()
  // @ts-expect-error: the address itself does not come out of the policy
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
    // @ts-expect-error: a device's token does not come out of the policy
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

// `object_type_type` stands for `object_type` in this one.
if (event.type === 'io.customer.customer.cio_subscription_preferences_changed') {
  holds<Equal<typeof event.data.object_type_type, 'customer' | undefined>>()
  // @ts-expect-error: so there is none
  event.data.object_type
}

// Four pairs are documented by their name only: fields that similar events always have may be missing.
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

// An unsubscription by e-mail is the message's or the person's.
if (event.type === 'io.customer.email.unsubscribed') {
  const { data } = event.data
  if (data.delivery_id !== undefined) holds<Equal<typeof data.subject, '[REDACTED]'>>()
  else holds<Equal<typeof data.email_address_hash, string | null>>()
}

// What nobody documented comes too, with data of which nothing is known.
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

// @ts-expect-error: what is in the log is not changed by who reads it
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

/** No two types share data by mistake: each narrows to events of that type alone. */
type Narrowed<T extends DocumentedEvent['type']> = Extract<CustomerEvent, { readonly type: T }>
holds<
  { [T in DocumentedEvent['type']]: Equal<Narrowed<T>['type'], T> }[DocumentedEvent['type']] extends true
    ? true
    : false
>()
